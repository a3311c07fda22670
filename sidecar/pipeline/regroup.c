/* SPDX-License-Identifier: Apache-2.0 */
/* A key is read from the left: the prefix, an index, then what of the item it is. Dialects put words between
 * that say nothing (`message.`, `tool_call.`, `function.`, `message_content.`) and these are stepped over, so
 * OpenInference and OpenLLMetry are read by the same few lines. Items are kept in the order of their
 * indexes as they are met, so that room is taken by what is there and not by how high an index is. */
#include "sidecar/pipeline/regroup.h"

#include "core/buffer.h"
#include "core/json.h"
#include "proto/otlp_read.h"
#include "sidecar/pipeline/convert.h"
#include "sidecar/pipeline/semconv.h"

typedef struct call {
    size_t index;
    struct call *next;
    wb_slice id, name, arguments;
} call;

typedef struct item {
    size_t index;
    struct item *next;
    wb_slice role, content, finish_reason,
        answers; /* `answers`: the id of the call it is the result of */
    wb_slice name, description, parameters, schema; /* of a tool */
    call *calls;
} item;

typedef struct items {
    wb_arena *arena;
    item *first;
} items;

static bool step_over(wb_slice *rest, const char *word)
{
    wb_slice prefix = wb_slice_str(word);
    if (!wb_slice_starts(*rest, prefix)) return false;
    *rest = (wb_slice){rest->ptr + prefix.len, rest->len - prefix.len};
    return true;
}

/* `12.` or, at the end, `12`. */
static bool take_index(wb_slice *rest, size_t max, size_t *out)
{
    size_t i = 0, n = 0;
    for (; i < rest->len && rest->ptr[i] >= '0' && rest->ptr[i] <= '9'; i++) {
        n = 10 * n + (size_t)(rest->ptr[i] - '0');
        if (n >= max) return false;
    }
    if (i == 0 || (i < rest->len && rest->ptr[i] != '.')) return false;
    size_t used = i < rest->len ? i + 1 : i;
    *rest = (wb_slice){rest->ptr + used, rest->len - used};
    *out = n;
    return true;
}

static bool is(wb_slice s, const char *word) { return wb_slice_eq(s, wb_slice_str(word)); }

/* The item of that index; made and put in its place if it is new. NULL: no room. */
static item *item_at(items *all, size_t index)
{
    item **at = &all->first;
    while (*at && (*at)->index < index) at = &(*at)->next;
    if (*at && (*at)->index == index) return *at;
    item *made = wb_arena_alloc(all->arena, sizeof *made);
    if (!made) return NULL;
    *made = (item){.index = index, .next = *at};
    *at = made;
    return made;
}

static call *call_at(items *all, item *of, size_t index)
{
    call **at = &of->calls;
    while (*at && (*at)->index < index) at = &(*at)->next;
    if (*at && (*at)->index == index) return *at;
    call *made = wb_arena_alloc(all->arena, sizeof *made);
    if (!made) return NULL;
    *made = (call){.index = index, .next = *at};
    *at = made;
    return made;
}

static wb_status note_call(items *all, item *of, wb_slice rest, wb_slice text)
{
    size_t at;
    if (!take_index(&rest, WB_REGROUP_CALLS_MAX, &at)) return WB_OK;
    call *c = call_at(all, of, at);
    if (!c) return WB_ERR_NO_MEMORY;
    (void)step_over(&rest, "tool_call.");
    (void)step_over(&rest, "function.");
    if (is(rest, "id")) c->id = text;
    if (is(rest, "name")) c->name = text;
    if (is(rest, "arguments")) c->arguments = text;
    return WB_OK;
}

static wb_status note_leaf(items *all, item *of, wb_slice rest, wb_slice text)
{
    size_t part;
    (void)step_over(&rest, "message.");
    (void)step_over(&rest, "tool.");
    if (step_over(&rest, "tool_calls.")) return note_call(all, of, rest, text);
    if (step_over(&rest, "contents.")) {
        if (take_index(&rest, WB_REGROUP_ITEMS_MAX, &part) &&
            step_over(&rest, "message_content.") && is(rest, "text") && of->content.len == 0)
            of->content = text;
        return WB_OK;
    }
    if (is(rest, "role")) of->role = text;
    if (is(rest, "content")) of->content = text;
    if (is(rest, "finish_reason")) of->finish_reason = text;
    if (is(rest, "tool_call_id")) of->answers = text;
    if (is(rest, "name")) of->name = text;
    if (is(rest, "description")) of->description = text;
    if (is(rest, "parameters")) of->parameters = text;
    if (is(rest, "json_schema")) of->schema = text;
    return WB_OK;
}

static wb_status note_attr(items *all, wb_slice rest, wb_value value)
{
    size_t at;
    wb_slice text = {0};
    if (!take_index(&rest, WB_REGROUP_ITEMS_MAX, &at)) return WB_OK;
    wb_status status = wb_convert_text(value, all->arena, &text);
    if (status == WB_ERR_NO_MEMORY) return status;
    item *of = item_at(all, at);
    if (!of) return WB_ERR_NO_MEMORY;
    return status == WB_OK ? note_leaf(all, of, rest, text) : WB_OK;
}

/* ---- writing ---- */

static wb_status put(wb_buffer *out, const char *text)
{
    return wb_buffer_add(out, text, strlen(text));
}

/* `"name":"text"`, with a comma before it but at the start of an object. */
static wb_status put_member(wb_buffer *out, const char *name, wb_slice text)
{
    if (text.len == 0) return WB_OK;
    if (out->ptr[out->len - 1] != '{') WB_TRY(put(out, ","));
    WB_TRY(wb_json_add_string(out, wb_slice_str(name)));
    WB_TRY(put(out, ":"));
    return wb_json_add_string(out, text);
}

static wb_status put_comma(wb_buffer *out, char opening)
{
    return out->ptr[out->len - 1] == opening ? WB_OK : put(out, ",");
}

static wb_status put_part(wb_buffer *out, const char *type)
{
    WB_TRY(put_comma(out, '['));
    WB_TRY(put(out, "{"));
    return put_member(out, "type", wb_slice_str(type));
}

static wb_status put_message(wb_buffer *out, const item *it)
{
    WB_TRY(put(out, "{"));
    WB_TRY(put_member(out, "role", it->role));
    WB_TRY(put_comma(out, '{'));
    WB_TRY(put(out, "\"parts\":["));
    if (it->content.len > 0) {
        WB_TRY(put_part(out, it->answers.len > 0 ? "tool_call_response" : "text"));
        WB_TRY(put_member(out, "id", it->answers));
        WB_TRY(put_member(out, it->answers.len > 0 ? "result" : "content", it->content));
        WB_TRY(put(out, "}"));
    }
    for (const call *c = it->calls; c; c = c->next) {
        WB_TRY(put_part(out, "tool_call"));
        WB_TRY(put_member(out, "id", c->id));
        WB_TRY(put_member(out, "name", c->name));
        WB_TRY(put_member(out, "arguments", c->arguments));
        WB_TRY(put(out, "}"));
    }
    WB_TRY(put(out, "]"));
    WB_TRY(put_member(out, "finish_reason", it->finish_reason));
    return put(out, "}");
}

static wb_status put_tool(wb_buffer *out, const item *it)
{
    WB_TRY(put(out, "{"));
    WB_TRY(put_member(out, "name", it->name));
    WB_TRY(put_member(out, "description", it->description));
    WB_TRY(put_member(out, "parameters", it->parameters));
    WB_TRY(put_member(out, "json_schema", it->schema));
    return put(out, "}");
}

static wb_status put_items(wb_buffer *out, const items *all, bool tools)
{
    WB_TRY(put(out, "["));
    for (const item *it = all->first; it; it = it->next) {
        WB_TRY(put_comma(out, '['));
        WB_TRY(tools ? put_tool(out, it) : put_message(out, it));
    }
    return put(out, "]");
}

/* What of the key stands behind a prefix of the field; false: it has none. */
static bool behind_prefix(wb_slice key, uint8_t field, wb_slice *rest)
{
    for (size_t i = 0; i < WB_SEMCONV_PREFIXES; i++) {
        wb_slice prefix = wb_semconv_prefixes[i];
        if (wb_semconv_prefix_field(i) != field || !wb_slice_starts(key, prefix)) continue;
        *rest = (wb_slice){key.ptr + prefix.len, key.len - prefix.len};
        return true;
    }
    return false;
}

wb_status wb_regroup(wb_slice span_message, uint8_t field, wb_arena *arena, wb_slice *json)
{
    items all = {.arena = arena};
    WB_AUTO_BUFFER out;
    wb_otlp_attr attr;
    wb_otlp_iter it = {span_message};
    *json = (wb_slice){0};
    wb_buffer_init(&out, WB_REGROUP_BYTES_MAX);
    while (wb_otlp_next_attr(&it, WB_OTLP_SPAN, &attr)) {
        wb_slice rest;
        if (behind_prefix(attr.key, field, &rest)) WB_TRY(note_attr(&all, rest, attr.value));
    }
    if (!all.first) return WB_OK;
    if (put_items(&out, &all, field == WB_CANON_TOOL_DEFINITIONS) != WB_OK) return WB_OK;
    return wb_arena_dup(arena, wb_buffer_slice(&out), json);
}
