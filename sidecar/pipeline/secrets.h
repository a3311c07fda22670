/* SPDX-License-Identifier: Apache-2.0 */
/* sidecar/pipeline/secrets.h: secrets in any text, or in a body of protobuf. Pure; any thread may call.
 *
 * Found are keys and tokens by their shape (secret_tokens.h), what a name of secrets is given (`api_key=...`,
 * `"password": "..."`, headers, options, in JSON within JSON), Bearer and Basic credentials, passwords in URLs and
 * DSNs, cookies, private keys in PEM. docs/redaction.md has the list. */
#ifndef WAYBILL_SIDECAR_PIPELINE_SECRETS_H
#define WAYBILL_SIDECAR_PIPELINE_SECRETS_H

#include "core/slice.h"
#include "sidecar/pipeline/secret_spots.h"

typedef struct wb_secret {
    size_t at, len;    /* of the bytes that must not stay; len > 0 */
    bool is_json_bare; /* what takes their place must be a value of JSON by itself */
} wb_secret;

#define WB_SECRET_MASK WB_S("[redacted]")

/** What takes a secret's place, never longer than it is; no secret itself. Static. */
wb_slice wb_secret_mask(const wb_secret *secret);

/** Write `text` with masks in the place of secrets to `out`, which has room for text.len bytes and lies elsewhere.
 *  Returns its length then; *found is how many there were. What was masked is masked no further. */
size_t wb_secrets_mask(wb_slice text, uint8_t *out, size_t *found);

enum { WB_SECRET_SPOTS = 256 };

/** A search through a protobuf message of fewer than 2^31 bytes. */
typedef struct wb_secret_search {
    wb_slice body;
    size_t read, next, count; /* private, as all here */
    wb_spot spots[WB_SECRET_SPOTS];
} wb_secret_search;

void wb_secret_search_begin(wb_secret_search *search, wb_slice body);
/** The next place in the message that must be read text by text; false: there is none. Nothing is missed that
 *  wb_secrets_mask would find in one of the message's texts (but for a tag that is a letter, as a log record's event
 *  name has it, behind other letters), nor an attribute whose key is a secret's name (wb_secret_name_of) and has its
 *  value's tag behind it (else wb_batch.odd_pairs). */
bool wb_secret_search_next(wb_secret_search *search, size_t *at);

#endif
