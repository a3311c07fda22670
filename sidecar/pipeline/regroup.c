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

/* What those of a list begin with; they are in the order of their indexes. */
typedef struct element {
    size_t index;
    struct element *next;
} element;

typedef struct call {
    element at;
    wb_slice id, name, arguments;
} call;

/* Of a message that has several: its text, or where the rest is. */
typedef struct content {
    element at;
    wb_slice type, text, uri;
} content;

typedef struct item {
    element at;
    wb_slice role, content, finish_reason;
    wb_slice answers;                               /* the id of the call it is the result of */
    wb_slice name, description, parameters, schema; /* of a tool */
    element *calls, *contents;
} item;

typedef struct items {
    wb_arena *arena;
    element *first;
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

/* The one of that index; made and put in its place if it is new. NULL: no room. */
static void *element_at(wb_arena *arena, element **first, size_t index, size_t size)
{
    element **at = first;
    while (*at && (*at)->index < index) at = &(*at)->next;
    if (*at && (*at)->index == index) return *at;
    element *made = wb_arena_alloc(arena, size);
    if (!made) return NULL;
    *made = (element){.index = index, .next = *at};
    *at = made;
    return made;
}

static wb_status note_call(items *all, item *of, wb_slice rest, wb_slice text)
{
    size_t at;
    if (!take_index(&rest, WB_REGROUP_CALLS_MAX, &at)) return WB_OK;
    call *c = element_at(all->arena, &of->calls, at, sizeof *c);
    if (!c) return WB_ERR_NO_MEMORY;
    (void)step_over(&rest, "tool_call.");
    (void)step_over(&rest, "function.");
    if (is(rest, "id")) c->id = text;
    if (is(rest, "name")) c->name = text;
    if (is(rest, "arguments")) c->arguments = text;
    return WB_OK;
}

static wb_status note_content(items *all, item *of, wb_slice rest, wb_slice text)
{
    size_t at;
    if (!take_index(&rest, WB_REGROUP_ITEMS_MAX, &at)) return WB_OK;
    content *c = element_at(all->arena, &of->contents, at, sizeof *c);
    if (!c) return WB_ERR_NO_MEMORY;
    (void)step_over(&rest, "message_content.");
    if (is(rest, "type")) c->type = text;
    if (is(rest, "text")) c->text = text;
    if (is(rest, "image.image.url")) c->uri = text;
    return WB_OK;
}

static wb_status note_leaf(items *all, item *of, wb_slice rest, wb_slice text)
{
    (void)step_over(&rest, "message.");
    (void)step_over(&rest, "tool.");
    if (step_over(&rest, "tool_calls.")) return note_call(all, of, rest, text);
    if (step_over(&rest, "contents.")) return note_content(all, of, rest, text);
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
    item *of = element_at(all->arena, &all->first, at, sizeof *of);
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

static wb_status put_comma(wb_buffer *out, uint8_t opening)
{
    return out->ptr[out->len - 1] == opening ? WB_OK : put(out, ",");
}

static wb_status put_part(wb_buffer *out, const char *type)
{
    WB_TRY(put_comma(out, '['));
    WB_TRY(put(out, "{"));
    return put_member(out, "type", wb_slice_str(type));
}

static wb_status put_text(wb_buffer *out, const item *it)
{
    bool answers = it->answers.len > 0;
    WB_TRY(put_part(out, answers ? "tool_call_response" : "text"));
    WB_TRY(put_member(out, "id", it->answers));
    WB_TRY(put_member(out, answers ? "result" : "content", it->content));
    return put(out, "}");
}

static wb_status put_content(wb_buffer *out, const content *c)
{
    WB_TRY(put_comma(out, '['));
    WB_TRY(put(out, "{"));
    WB_TRY(put_member(out, "type", c->type.len > 0 ? c->type : WB_S("text")));
    WB_TRY(put_member(out, "content", c->text));
    WB_TRY(put_member(out, "uri", c->uri));
    return put(out, "}");
}

static wb_status put_call(wb_buffer *out, const call *c)
{
    WB_TRY(put_part(out, "tool_call"));
    WB_TRY(put_member(out, "id", c->id));
    WB_TRY(put_member(out, "name", c->name));
    WB_TRY(put_member(out, "arguments", c->arguments));
    return put(out, "}");
}

static wb_status put_message(wb_buffer *out, const item *it)
{
    WB_TRY(put(out, "{"));
    WB_TRY(put_member(out, "role", it->role));
    WB_TRY(put_comma(out, '{'));
    WB_TRY(put(out, "\"parts\":["));
    if (it->content.len > 0) WB_TRY(put_text(out, it));
    for (const element *at = it->contents; at; at = at->next)
        WB_TRY(put_content(out, (const content *)(const void *)at));
    for (const element *at = it->calls; at; at = at->next)
        WB_TRY(put_call(out, (const call *)(const void *)at));
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
    for (const element *at = all->first; at; at = at->next) {
        const item *it = (const item *)(const void *)at;
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
