/* SPDX-License-Identifier: Apache-2.0 */
/* sidecar/pipeline/secret_names.h: is what has this name a secret? Names of attributes, headers, variables,
 * members of JSON, options. Pure. */
#ifndef WAYBILL_SIDECAR_PIPELINE_SECRET_NAMES_H
#define WAYBILL_SIDECAR_PIPELINE_SECRET_NAMES_H

#include "core/slice.h"

typedef enum wb_secret_name {
    WB_NAME_PLAIN,         /* no secret */
    WB_NAME_WORD,          /* `token`, `auth`, `pass`: where the value looks like one */
    WB_NAME_TOKEN,         /* access_token ...: any text but a short word */
    WB_NAME_SECRET,        /* password, api_key ...: whatever it is */
    WB_NAME_COOKIE,        /* all of a header */
    WB_NAME_AUTHORIZATION, /* as is */
} wb_secret_name;

/** Separators and case do not matter, nor do an index and digits behind it: `x-api-key`, `apiKey`,
 *  `http.request.header.authorization.0`. Of a longer name the last 96 bytes count. */
wb_secret_name wb_secret_name_of(wb_slice name);

/** Would that text be the secret that its name promises? Not the empty one, what stands for one (`***`, `${VAR}`,
 *  `[redacted]`, `null`, `string`), or a word under a name that needs none. */
bool wb_secret_is_value(wb_secret_name kind, wb_slice value);

/** Eight characters or more, no blank among them, with digits and letters or with signs, or long and in both
 *  cases. */
bool wb_secret_looks_random(wb_slice value);

/** Does `word` stand at text[at], in any case? */
static inline bool wb_secret_starts(wb_slice text, size_t at, const char *word)
{
    size_t len = strlen(word);
    if (at > text.len || text.len - at < len) return false;
    for (size_t i = 0; i < len; i++)
        if ((text.ptr[at + i] | 0x20) != (word[i] | 0x20)) return false;
    return true;
}

#endif
