/* SPDX-License-Identifier: Apache-2.0 */
/* What was read, written out again, reads as the same tree; and reading takes no more memory than the
 * text's length allows. */
#include "core/json.h"

enum { ARENA_LIMIT = 1 << 22, TEXT_LIMIT = 1 << 20 };

static const wb_json_limits profiles[] = {
    {.depth = 3, .members = 40, .elements = 40, .string_bytes = 255},
    {.depth = 6, .members = 40, .elements = 256, .string_bytes = 16384},
    {.depth = 2,
     .members = 3,
     .elements = 8,
     .string_bytes = 64,
     .any_number = true,
     .count_excess = true},
};

static void format(const wb_json *v, wb_buffer *out)
{
    static const char *const words[] = {"null", "false", "true"};
    switch (v->type) {
    case WB_JSON_NULL:
    case WB_JSON_BOOL:
        WB_ASSERT(wb_buffer_printf(out, "%s", words[v->type == WB_JSON_BOOL ? 1 + v->truth : 0]) ==
                  WB_OK);
        return;
    case WB_JSON_INT:
        WB_ASSERT(wb_buffer_printf(out, "%llu", (unsigned long long)v->number) == WB_OK);
        return;
    case WB_JSON_REAL: WB_ASSERT(wb_buffer_add_slice(out, v->text) == WB_OK); return;
    case WB_JSON_STRING: WB_ASSERT(wb_json_add_string(out, v->text) == WB_OK); return;
    case WB_JSON_ARRAY:
    case WB_JSON_OBJECT: break;
    }
    bool object = v->type == WB_JSON_OBJECT;
    WB_ASSERT(wb_buffer_add(out, object ? "{" : "[", 1) == WB_OK);
    for (const wb_json *m = v->first; m; m = m->next) {
        if (m != v->first) WB_ASSERT(wb_buffer_add(out, ",", 1) == WB_OK);
        if (object) {
            WB_ASSERT(wb_json_add_string(out, m->name) == WB_OK);
            WB_ASSERT(wb_buffer_add(out, ":", 1) == WB_OK);
        }
        format(m, out);
    }
    WB_ASSERT(wb_buffer_add(out, object ? "}" : "]", 1) == WB_OK);
}

static void assert_same(const wb_json *a, const wb_json *b)
{
    WB_ASSERT(a->type == b->type && a->truth == b->truth && a->number == b->number && a->n == b->n);
    WB_ASSERT(wb_slice_eq(a->name, b->name) && wb_slice_eq(a->text, b->text));
    const wb_json *x = a->first, *y = b->first;
    for (; x && y; x = x->next, y = y->next) assert_same(x, y);
    WB_ASSERT(!x && !y);
}

static bool whole(const wb_json *v, const wb_json_limits *limits)
{
    if (v->type == WB_JSON_STRING && v->text.len > limits->string_bytes) return false;
    if (v->type == WB_JSON_ARRAY && v->n > limits->elements) return false;
    for (const wb_json *m = v->first; m; m = m->next)
        if (!whole(m, limits)) return false;
    return true;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size > TEXT_LIMIT / 8) return 0;
    for (size_t i = 0; i < WB_COUNT(profiles); i++) {
        WB_AUTO(wb_arena) arena = wb_arena_new(ARENA_LIMIT);
        WB_AUTO_BUFFER text;
        const wb_json *first = NULL;
        const wb_json *again = NULL;
        wb_json_fault fault;
        WB_ASSERT(arena);
        wb_buffer_init(&text, TEXT_LIMIT);
        wb_status st = wb_json_parse(wb_slice_of(data, size), &profiles[i], arena, &first, &fault);
        WB_ASSERT(wb_arena_used(arena) <= sizeof(wb_json) * (size / 2 + 2) + 16 * (size + 1));
        WB_ASSERT(st == WB_OK && (fault == WB_JSON_NO_FAULT) == (first != NULL));
        if (!first || !whole(first, &profiles[i])) continue;
        format(first, &text);
        WB_ASSERT(wb_json_parse(wb_buffer_slice(&text), &profiles[i], arena, &again, &fault) ==
                  WB_OK);
        WB_ASSERT(fault == WB_JSON_NO_FAULT);
        assert_same(first, again);
    }
    return 0;
}
