/* SPDX-License-Identifier: Apache-2.0 */
/* Three things make RFC 8785 out of a tree of values: members in the order of their names' UTF-16 units,
 * which the reader has already put them in; numbers as core/number.h writes them; strings as
 * wb_json_add_string writes them, which escapes what the RFC's section 3.2.2.2 lists and nothing else.
 *
 * The reader keeps the text of a number and only the writer looks at its value, so that a number beyond
 * doubles is a fault where it would be hashed and nowhere else. */
#include "core/jcs.h"

#include "core/number.h"

static const char *words(wb_json_fault fault)
{
    switch (fault) {
    case WB_JSON_UTF8: return "not UTF-8, or half a surrogate pair";
    case WB_JSON_DUPLICATE:
    case WB_JSON_DEPTH:
    case WB_JSON_SIZE: return wb_json_fault_text(fault);
    default: return "not JSON";
    }
}

wb_status wb_jcs_parse(wb_slice text, uint32_t depth, wb_arena *arena, const wb_json **root,
                       wb_error *err)
{
    wb_json_limits limits = {.depth = depth,
                             .members = UINT32_MAX,
                             .elements = UINT32_MAX,
                             .string_bytes = UINT32_MAX,
                             .any_number = true,
                             .any_value = true,
                             .any_char = true,
                             .sort_members = true};
    wb_json_fault fault;
    wb_status st = wb_json_parse(text, &limits, arena, root, &fault);
    if (st != WB_OK) return wb_fail(err, st, "the JSON text takes too much memory");
    if (fault == WB_JSON_NO_FAULT) return WB_OK;
    return wb_fail(err, WB_ERR_MALFORMED, "%s", words(fault));
}

typedef struct writer {
    wb_buffer *out;
    wb_arena *arena;
    wb_error *err;
} writer;

static wb_status add_real(writer *w, wb_slice text)
{
    double value;
    char shortest[WB_NUMBER_MAX];
    wb_status st = wb_number_parse(text, w->arena, &value);
    if (st == WB_ERR_MALFORMED) return wb_fail(w->err, st, "a number beyond doubles");
    WB_TRY(st);
    return wb_buffer_add(w->out, shortest, wb_number_format(value, shortest));
}

static wb_status add_value(writer *w, const wb_json *value, uint32_t depth);

static wb_status add_children(writer *w, const wb_json *parent, uint32_t depth)
{
    for (const wb_json *child = parent->first; child; child = child->next) {
        if (child != parent->first) WB_TRY(wb_buffer_add(w->out, ",", 1));
        if (parent->type == WB_JSON_OBJECT) {
            WB_TRY(wb_json_add_string(w->out, child->name));
            WB_TRY(wb_buffer_add(w->out, ":", 1));
        }
        WB_TRY(add_value(w, child, depth));
    }
    return WB_OK;
}

static wb_status add_container(writer *w, const wb_json *value, uint32_t depth)
{
    bool object = value->type == WB_JSON_OBJECT;
    if (depth > WB_JCS_DEPTH)
        return wb_fail(w->err, WB_ERR_MALFORMED, "%s", wb_json_fault_text(WB_JSON_DEPTH));
    WB_TRY(wb_buffer_add(w->out, object ? "{" : "[", 1));
    WB_TRY(add_children(w, value, depth));
    return wb_buffer_add(w->out, object ? "}" : "]", 1);
}

static wb_status add_value(writer *w, const wb_json *value, uint32_t depth)
{
    switch (value->type) {
    case WB_JSON_NULL: return wb_buffer_add_slice(w->out, WB_S("null"));
    case WB_JSON_BOOL:
        return wb_buffer_add_slice(w->out, value->truth ? WB_S("true") : WB_S("false"));
    case WB_JSON_INT: return wb_buffer_printf(w->out, "%llu", (unsigned long long)value->number);
    case WB_JSON_REAL: return add_real(w, value->text);
    case WB_JSON_STRING: return wb_json_add_string(w->out, value->text);
    case WB_JSON_ARRAY:
    case WB_JSON_OBJECT: break;
    }
    return add_container(w, value, depth + 1);
}

wb_status wb_jcs_add(wb_buffer *out, const wb_json *value, wb_arena *arena, wb_error *err)
{
    writer w = {.out = out, .arena = arena, .err = err};
    wb_status st = add_value(&w, value, 0);
    if (st == WB_ERR_NO_MEMORY) return wb_fail(err, st, "the JSON value takes too much memory");
    return st;
}

wb_status wb_jcs_format(wb_slice text, wb_arena *arena, wb_buffer *out, wb_error *err)
{
    const wb_json *root = NULL;
    WB_TRY(wb_jcs_parse(text, WB_JCS_DEPTH, arena, &root, err));
    return wb_jcs_add(out, root, arena, err);
}
