/* SPDX-License-Identifier: Apache-2.0 */
/* sidecar/pipeline/tokens.h: token counts, turned once into buckets that nothing is in twice.
 *
 * Conventions and providers disagree whether the input count has in it what a cache had, and the output count
 * what was reasoning. Sums over disjoint buckets are right whatever arrived. Pure; any thread.
 * Source: reference of the conventions in docs/model.md, "Tokens". */
#ifndef WAYBILL_SIDECAR_PIPELINE_TOKENS_H
#define WAYBILL_SIDECAR_PIPELINE_TOKENS_H

#include <stdbool.h>
#include <stdint.h>

#include "core/arena.h"

typedef enum wb_token_kind {
    WB_TOKENS_INPUT,
    WB_TOKENS_OUTPUT,
    WB_TOKENS_CACHE_READ,
    WB_TOKENS_CACHE_WRITE,
    WB_TOKENS_REASONING,
    WB_TOKENS_TOTAL,
    WB_TOKEN_KINDS
} wb_token_kind;

/* What does the input count have in it, and the output count? */
typedef enum wb_token_form {
    WB_TOKENS_UNSAID,           /* nobody says: decided by the numbers, else inclusive */
    WB_TOKENS_INCLUSIVE,        /* input: what the cache read and wrote; output: the reasoning */
    WB_TOKENS_EXCLUSIVE,        /* neither */
    WB_TOKENS_INPUT_INCLUSIVE,  /* input as the first, output as the second */
    WB_TOKENS_OUTPUT_INCLUSIVE, /* the other way round */
} wb_token_form;

typedef struct wb_tokens {
    uint64_t of[WB_TOKEN_KINDS];
    bool has[WB_TOKEN_KINDS];
    wb_token_form form;
} wb_tokens;

/** What arrived becomes disjoint buckets, none below 0. `form` becomes what it was taken for. A bucket of which
 *  nobody said anything stays without; so does the total, which is their sum, but where it is all that was said. */
void wb_tokens_settle(wb_tokens *tokens);

/** `inclusive`, `exclusive`, `input_inclusive`, `output_inclusive`; empty for UNSAID. Static. */
const char *wb_token_form_word(wb_token_form form);

/** Read a JSON object of counts: Langfuse's own (`input`, `input_cached_tokens` ...: exclusive) or OpenAI's
 *  (`prompt_tokens` with details, `input_tokens` ...: inclusive). What is no such object, or has none of them,
 *  leaves *out as it is.
 *  Errors  NO_MEMORY arena limit */
WB_MUST_USE wb_status wb_tokens_read_usage(wb_slice json, wb_arena *arena, wb_tokens *out);

#endif
