/* SPDX-License-Identifier: Apache-2.0 */
/* A key is read from the left: the prefix, an index, then what of the item it is. Dialects put words between
 * that say nothing (`message.`, `tool_call.`, `function.`, `message_content.`) and these are stepped over, so
 * OpenInference and OpenLLMetry are read by the same few lines. Items are kept in the order of their
 * indexes as they are met, so that room is taken by what is there and not by how high an index is. */
#include "sidecar/pipeline/regroup.h"

#include "core/buffer.h"
#include "proto/otlp_read.h"
#include "sidecar/pipeline/convert.h"
#include "sidecar/pipeline/message_put.h"
#include "sidecar/pipeline/messages.h"
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

/* Of a message that has several: its text, where the rest is, or a call. */
typedef struct content {
    element at;
    wb_slice type, text, uri;
    call call;
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

static void note_of_call(call *c, wb_slice rest, wb_slice text)
{
    (void)step_over(&rest, "function.");
    if (is(rest, "id")) c->id = text;
    if (is(rest, "name")) c->name = text;
    if (is(rest, "arguments")) c->arguments = text;
}

static wb_status note_call(items *all, item *of, wb_slice rest, wb_slice text)
{
    size_t at;
    if (!take_index(&rest, WB_REGROUP_CALLS_MAX, &at)) return WB_OK;
    call *c = element_at(all->arena, &of->calls, at, sizeof *c);
    if (!c) return WB_ERR_NO_MEMORY;
    (void)step_over(&rest, "tool_call.");
    note_of_call(c, rest, text);
    return WB_OK;
}

static wb_status note_content(items *all, item *of, wb_slice rest, wb_slice text)
{
    size_t at;
    if (!take_index(&rest, WB_REGROUP_ITEMS_MAX, &at)) return WB_OK;
    content *c = element_at(all->arena, &of->contents, at, sizeof *c);
    if (!c) return WB_ERR_NO_MEMORY;
    if (step_over(&rest, "tool_call.")) note_of_call(&c->call, rest, text);
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

static wb_status put_call(wb_buffer *out, const call *c)
{
    const wb_json arguments = wb_json_text(c->arguments);
    return wb_put_call_part(out, c->id, c->name, &arguments);
}

static wb_status put_text(wb_buffer *out, const item *it)
{
    const wb_json response = wb_json_text(it->content);
    if (it->answers.len == 0) return wb_put_text_part(out, "text", it->content);
    return wb_put_response_part(out, it->answers, &response);
}

/* Some say a message's text, and its calls, in both ways. */
static bool is_said_already(const item *it, const content *c)
{
    return c->call.name.len > 0 ? it->calls != NULL
                                : c->text.len > 0 && wb_slice_eq(c->text, it->content);
}

static wb_status put_content(wb_buffer *out, const item *it, const content *c)
{
    if (is_said_already(it, c)) return WB_OK;
    if (c->call.name.len > 0) return put_call(out, &c->call);
    if (c->uri.len > 0) return wb_put_uri_part(out, "image", c->uri);
    return wb_put_text_part(out, is(c->type, "reasoning") ? "reasoning" : "text", c->text);
}

static wb_status put_message(wb_buffer *out, const item *it)
{
    WB_TRY(wb_put_message(out, it->role));
    if (it->content.len > 0) WB_TRY(put_text(out, it));
    for (const element *at = it->contents; at; at = at->next)
        WB_TRY(put_content(out, it, (const content *)(const void *)at));
    for (const element *at = it->calls; at; at = at->next)
        WB_TRY(put_call(out, (const call *)(const void *)at));
    return wb_put_message_end(out, it->finish_reason);
}

static wb_status put_tool(wb_buffer *out, const item *it, wb_arena *arena)
{
    const wb_json *parsed;
    wb_slice schema = it->schema.len > 0 ? it->schema : it->parameters;
    const wb_json text = wb_json_text(schema);
    WB_TRY(wb_messages_parse(schema, arena, &parsed));
    if (it->schema.len > 0 && parsed && parsed->type == WB_JSON_OBJECT)
        return wb_tools_put(out, parsed);
    return wb_put_tool(out, (wb_slice){NULL, 0}, it->name, it->description,
                       parsed ? parsed : &text);
}

static wb_status put_items(wb_buffer *out, const items *all, bool tools)
{
    WB_TRY(wb_put(out, "["));
    for (const element *at = all->first; at; at = at->next) {
        const item *it = (const item *)(const void *)at;
        WB_TRY(tools ? put_tool(out, it, all->arena) : put_message(out, it));
    }
    return wb_put(out, "]");
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

wb_status wb_regroup(wb_slice span_message, uint8_t field, wb_buffer *room, wb_arena *arena,
                     wb_slice *json)
{
    items all = {.arena = arena};
    wb_otlp_attr attr;
    wb_otlp_iter it = {span_message};
    *json = (wb_slice){0};
    wb_buffer_clear(room);
    while (wb_otlp_next_attr(&it, WB_OTLP_SPAN, &attr)) {
        wb_slice rest;
        if (behind_prefix(attr.key, field, &rest)) WB_TRY(note_attr(&all, rest, attr.value));
    }
    if (!all.first) return WB_OK;
    if (put_items(room, &all, field == WB_CANON_TOOL_DEFINITIONS) != WB_OK) return WB_OK;
    return wb_arena_dup(arena, wb_buffer_slice(room), json);
}
