/* SPDX-License-Identifier: Apache-2.0 */
/* Which form arrived is said by the dialect, or shows in the numbers: a cache that had more than all input had
 * was not part of it, and a total that only adds up with the cache beside the input says the same. Where
 * neither speaks, OpenTelemetry's rule holds: both are in it. */
#include "sidecar/pipeline/tokens.h"

#include "core/json.h"

static uint64_t less(uint64_t a, uint64_t b) { return a > b ? a - b : 0; }

#define OF(kind) (t->has[WB_TOKENS_##kind] ? t->of[WB_TOKENS_##kind] : 0)

static wb_token_form form_by_numbers(const wb_tokens *t)
{
    uint64_t cache = OF(CACHE_READ) + OF(CACHE_WRITE);
    uint64_t sum = OF(INPUT) + OF(OUTPUT), total = OF(TOTAL);
    if (t->has[WB_TOKENS_INPUT] && cache > OF(INPUT)) return WB_TOKENS_EXCLUSIVE;
    if (t->has[WB_TOKENS_OUTPUT] && OF(REASONING) > OF(OUTPUT)) return WB_TOKENS_EXCLUSIVE;
    if (cache > 0 && total > sum && (total == sum + cache || total == sum + cache + OF(REASONING)))
        return WB_TOKENS_EXCLUSIVE;
    return WB_TOKENS_INCLUSIVE;
}

void wb_tokens_settle(wb_tokens *t)
{
    if (t->form == WB_TOKENS_UNSAID) t->form = form_by_numbers(t);
    if (t->form == WB_TOKENS_INCLUSIVE) {
        t->of[WB_TOKENS_INPUT] = less(OF(INPUT), OF(CACHE_READ) + OF(CACHE_WRITE));
        t->of[WB_TOKENS_OUTPUT] = less(OF(OUTPUT), OF(REASONING));
    }
    for (int kind = WB_TOKENS_INPUT; kind < WB_TOKENS_TOTAL; kind++)
        if (t->has[kind]) t->has[WB_TOKENS_TOTAL] = false;
}

/* A member's name, what it counts, and whose it is. */
typedef struct member {
    const char *name, *within;
    wb_token_kind kind;
    wb_token_form form; /* UNSAID: either's */
} member;

static const member members[] = {
    {"prompt_tokens", NULL, WB_TOKENS_INPUT, WB_TOKENS_INCLUSIVE},
    {"input_tokens", NULL, WB_TOKENS_INPUT, WB_TOKENS_INCLUSIVE},
    {"completion_tokens", NULL, WB_TOKENS_OUTPUT, WB_TOKENS_INCLUSIVE},
    {"output_tokens", NULL, WB_TOKENS_OUTPUT, WB_TOKENS_INCLUSIVE},
    {"cached_tokens", "prompt_tokens_details", WB_TOKENS_CACHE_READ, WB_TOKENS_INCLUSIVE},
    {"cached_tokens", "input_tokens_details", WB_TOKENS_CACHE_READ, WB_TOKENS_INCLUSIVE},
    {"reasoning_tokens", "completion_tokens_details", WB_TOKENS_REASONING, WB_TOKENS_INCLUSIVE},
    {"reasoning_tokens", "output_tokens_details", WB_TOKENS_REASONING, WB_TOKENS_INCLUSIVE},
    {"total_tokens", NULL, WB_TOKENS_TOTAL, WB_TOKENS_UNSAID},
    /* Anthropic's own object: its input has no cache in it. */
    {"cache_read_input_tokens", NULL, WB_TOKENS_CACHE_READ, WB_TOKENS_EXCLUSIVE},
    {"cache_creation_input_tokens", NULL, WB_TOKENS_CACHE_WRITE, WB_TOKENS_EXCLUSIVE},
    {"input", NULL, WB_TOKENS_INPUT, WB_TOKENS_EXCLUSIVE},
    {"output", NULL, WB_TOKENS_OUTPUT, WB_TOKENS_EXCLUSIVE},
    {"input_cached_tokens", NULL, WB_TOKENS_CACHE_READ, WB_TOKENS_EXCLUSIVE},
    {"input_cache_read", NULL, WB_TOKENS_CACHE_READ, WB_TOKENS_EXCLUSIVE},
    {"input_cache_creation", NULL, WB_TOKENS_CACHE_WRITE, WB_TOKENS_EXCLUSIVE},
    {"input_cache_creation_5m", NULL, WB_TOKENS_CACHE_WRITE, WB_TOKENS_EXCLUSIVE},
    {"input_cache_creation_1h", NULL, WB_TOKENS_CACHE_WRITE, WB_TOKENS_EXCLUSIVE},
    {"output_reasoning_tokens", NULL, WB_TOKENS_REASONING, WB_TOKENS_EXCLUSIVE},
    {"total", NULL, WB_TOKENS_TOTAL, WB_TOKENS_UNSAID},
};

static void read_member(const wb_json *root, const member *m, wb_tokens *out)
{
    const wb_json *in = m->within ? wb_json_member(root, wb_slice_str(m->within)) : root;
    const wb_json *found = wb_json_member(in, wb_slice_str(m->name));
    if (!found || found->type != WB_JSON_INT) return;
    out->of[m->kind] = (out->has[m->kind] ? out->of[m->kind] : 0) + found->number;
    out->has[m->kind] = true;
    /* Of two the exclusive one: OpenAI has no key that Anthropic's or Langfuse's object has of these. */
    if (m->form > out->form) out->form = m->form;
}

wb_status wb_tokens_read_usage(wb_slice json, wb_arena *arena, wb_tokens *out)
{
    const wb_json_limits limits = {.depth = 4,
                                   .members = 64,
                                   .elements = 16,
                                   .string_bytes = 1024,
                                   .any_number = true,
                                   .count_excess = true};
    const wb_json *root = NULL;
    wb_json_fault fault = WB_JSON_NO_FAULT;
    WB_TRY(wb_json_parse(json, &limits, arena, &root, &fault));
    if (!root) return WB_OK;
    wb_tokens read = {.form = WB_TOKENS_UNSAID};
    bool any = false;
    for (size_t i = 0; i < WB_COUNT(members); i++) read_member(root, &members[i], &read);
    for (int kind = 0; kind < WB_TOKEN_KINDS; kind++) any |= read.has[kind];
    if (any) *out = read;
    return WB_OK;
}
