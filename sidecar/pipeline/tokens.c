/* SPDX-License-Identifier: Apache-2.0 */
/* Which form arrived shows in the total, where it fits one form and no other; else in the numbers: a cache that
 * had more than all input had was not part of it, nor was reasoning of which there was more than output. Where
 * neither speaks, the dialect does; and where that is silent, OpenTelemetry's rule holds: both are in it. */
#include "sidecar/pipeline/tokens.h"

#include "core/json.h"

static uint64_t less(uint64_t a, uint64_t b) { return a > b ? a - b : 0; }

#define OF(kind) (t->has[WB_TOKENS_##kind] ? t->of[WB_TOKENS_##kind] : 0)

static wb_token_form form_of(bool input_has_cache, bool output_has_reasoning)
{
    if (input_has_cache)
        return output_has_reasoning ? WB_TOKENS_INCLUSIVE : WB_TOKENS_INPUT_INCLUSIVE;
    return output_has_reasoning ? WB_TOKENS_OUTPUT_INCLUSIVE : WB_TOKENS_EXCLUSIVE;
}

static bool input_has_cache(wb_token_form form)
{
    return form == WB_TOKENS_INCLUSIVE || form == WB_TOKENS_INPUT_INCLUSIVE;
}

static bool output_has_reasoning(wb_token_form form)
{
    return form == WB_TOKENS_INCLUSIVE || form == WB_TOKENS_OUTPUT_INCLUSIVE;
}

/* The form whose sum is the total; UNSAID: none or several. */
static wb_token_form form_by_total(const wb_tokens *t)
{
    uint64_t cache = OF(CACHE_READ) + OF(CACHE_WRITE), sum = OF(INPUT) + OF(OUTPUT);
    uint64_t sums[4] = {sum, sum + OF(REASONING), sum + cache, sum + cache + OF(REASONING)};
    wb_token_form found = WB_TOKENS_UNSAID;
    if (!t->has[WB_TOKENS_TOTAL] || !t->has[WB_TOKENS_INPUT] || !t->has[WB_TOKENS_OUTPUT])
        return found;
    for (unsigned i = 0; i < 4; i++) {
        if (sums[i] != OF(TOTAL) || (i & 1 && OF(REASONING) == 0) || (i & 2 && cache == 0))
            continue;
        if (found != WB_TOKENS_UNSAID) return WB_TOKENS_UNSAID;
        found = form_of(!(i & 2), !(i & 1));
    }
    return found;
}

static wb_token_form settled_form(const wb_tokens *t)
{
    wb_token_form form = form_by_total(t);
    if (form != WB_TOKENS_UNSAID) return form;
    form = t->form == WB_TOKENS_UNSAID ? WB_TOKENS_INCLUSIVE : t->form;
    bool more_cache = t->has[WB_TOKENS_INPUT] && OF(CACHE_READ) + OF(CACHE_WRITE) > OF(INPUT);
    bool more_reasoning = t->has[WB_TOKENS_OUTPUT] && OF(REASONING) > OF(OUTPUT);
    bool input = input_has_cache(form) && !more_cache;
    bool output = output_has_reasoning(form) && !more_reasoning;
    /* Where there is none of the one, only the other says anything. */
    if (OF(REASONING) == 0) output = input;
    if (OF(CACHE_READ) + OF(CACHE_WRITE) == 0) input = output;
    return form_of(input, output);
}

void wb_tokens_settle(wb_tokens *t)
{
    t->form = settled_form(t);
    if (input_has_cache(t->form))
        t->of[WB_TOKENS_INPUT] = less(OF(INPUT), OF(CACHE_READ) + OF(CACHE_WRITE));
    if (output_has_reasoning(t->form)) t->of[WB_TOKENS_OUTPUT] = less(OF(OUTPUT), OF(REASONING));
    for (int kind = WB_TOKENS_INPUT; kind < WB_TOKENS_TOTAL; kind++)
        if (t->has[kind]) t->has[WB_TOKENS_TOTAL] = false;
}

const char *wb_token_form_word(wb_token_form form)
{
    switch (form) {
    case WB_TOKENS_UNSAID: break;
    case WB_TOKENS_INCLUSIVE: return "inclusive";
    case WB_TOKENS_EXCLUSIVE: return "exclusive";
    case WB_TOKENS_INPUT_INCLUSIVE: return "input_inclusive";
    case WB_TOKENS_OUTPUT_INCLUSIVE: return "output_inclusive";
    }
    return "";
}

/* ---- JSON objects of counts ---- */

/* What one of the objects that are known calls a count; the first that is there counts. */
typedef struct member {
    const char *name, *within;
    wb_token_kind kind;
} member;

static const member chat[] = {
    {"prompt_tokens", NULL, WB_TOKENS_INPUT},
    {"completion_tokens", NULL, WB_TOKENS_OUTPUT},
    {"cached_tokens", "prompt_tokens_details", WB_TOKENS_CACHE_READ},
    {"cache_read_input_tokens", NULL, WB_TOKENS_CACHE_READ},
    {"cache_creation_input_tokens", NULL, WB_TOKENS_CACHE_WRITE},
    {"reasoning_tokens", "completion_tokens_details", WB_TOKENS_REASONING},
    {"total_tokens", NULL, WB_TOKENS_TOTAL},
};
static const member messages[] = {
    {"input_tokens", NULL, WB_TOKENS_INPUT},
    {"output_tokens", NULL, WB_TOKENS_OUTPUT},
    {"cached_tokens", "input_tokens_details", WB_TOKENS_CACHE_READ},
    {"cache_read_input_tokens", NULL, WB_TOKENS_CACHE_READ},
    {"cache_creation_input_tokens", NULL, WB_TOKENS_CACHE_WRITE},
    {"reasoning_tokens", "output_tokens_details", WB_TOKENS_REASONING},
    {"total_tokens", NULL, WB_TOKENS_TOTAL},
};
static const member langfuse[] = {
    {"input", NULL, WB_TOKENS_INPUT},
    {"output", NULL, WB_TOKENS_OUTPUT},
    {"input_cached_tokens", NULL, WB_TOKENS_CACHE_READ},
    {"input_cache_read", NULL, WB_TOKENS_CACHE_READ},
    {"input_cache_creation", NULL, WB_TOKENS_CACHE_WRITE},
    {"output_reasoning_tokens", NULL, WB_TOKENS_REASONING},
    {"total", NULL, WB_TOKENS_TOTAL},
};

static bool count_of(const wb_json *root, const char *within, const char *name, uint64_t *out)
{
    const wb_json *in = within ? wb_json_member(root, wb_slice_str(within)) : root;
    const wb_json *found = wb_json_member(in, wb_slice_str(name));
    if (!found || found->type != WB_JSON_INT) return false;
    *out = found->number;
    return true;
}

/* False: it has nothing but perhaps a total. */
static bool read_members(const wb_json *root, const member *list, size_t n, wb_tokens *out)
{
    bool any = false;
    *out = (wb_tokens){.form = WB_TOKENS_UNSAID};
    for (size_t i = 0; i < n; i++) {
        wb_token_kind kind = list[i].kind;
        if (out->has[kind]) continue;
        out->has[kind] = count_of(root, list[i].within, list[i].name, &out->of[kind]);
        any |= out->has[kind] && kind != WB_TOKENS_TOTAL;
    }
    return any;
}

/* Langfuse's own says what was written to caches also by how long it is kept. */
static void add_kept_writes(const wb_json *root, wb_tokens *out)
{
    static const char *const kept[] = {"input_cache_creation_5m", "input_cache_creation_1h"};
    uint64_t n;
    if (out->has[WB_TOKENS_CACHE_WRITE]) return;
    for (size_t i = 0; i < WB_COUNT(kept); i++) {
        if (!count_of(root, NULL, kept[i], &n)) continue;
        out->of[WB_TOKENS_CACHE_WRITE] += n;
        out->has[WB_TOKENS_CACHE_WRITE] = true;
    }
}

/* OpenAI's chat object has the parts in its counts, and so have those that add Anthropic's names to it. Anthropic's own has
 * them beside, OpenAI's of Responses, with the same first names, has details. */
static bool read_usage(const wb_json *root, wb_tokens *out)
{
    uint64_t unused;
    if (read_members(root, langfuse, WB_COUNT(langfuse), out)) {
        add_kept_writes(root, out);
        out->form = WB_TOKENS_EXCLUSIVE;
        return true;
    }
    add_kept_writes(root, out);
    if (out->has[WB_TOKENS_CACHE_WRITE]) {
        out->form = WB_TOKENS_EXCLUSIVE;
        return true;
    }
    if (count_of(root, NULL, "prompt_tokens", &unused) ||
        count_of(root, NULL, "completion_tokens", &unused)) {
        (void)read_members(root, chat, WB_COUNT(chat), out);
        out->form = WB_TOKENS_INCLUSIVE;
        return true;
    }
    bool any = read_members(root, messages, WB_COUNT(messages), out);
    bool beside = !wb_json_member(root, WB_S("input_tokens_details")) &&
                  (count_of(root, NULL, "cache_read_input_tokens", &unused) ||
                   count_of(root, NULL, "cache_creation_input_tokens", &unused));
    out->form = beside ? WB_TOKENS_EXCLUSIVE : WB_TOKENS_INCLUSIVE;
    return any || out->has[WB_TOKENS_TOTAL];
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
    wb_tokens read;
    WB_TRY(wb_json_parse(json, &limits, arena, &root, &fault));
    if (root && read_usage(root, &read)) *out = read;
    return WB_OK;
}
