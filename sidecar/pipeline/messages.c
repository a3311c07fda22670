/* SPDX-License-Identifier: Apache-2.0 */
/* Vendors have few ideas of a message and many spellings of each: a role with a content that is a text or a
 * list of parts, calls of tools beside it or among the parts, the result of a tool as a message or as a part. So
 * there is one reader, which knows each idea under all its names; whose JSON it is does not matter. A part that
 * it does not know stays as it is, as the schema allows; JSON in which it finds no message at all is a text,
 * since a model may as well be asked in JSON, or answer in it.
 *
 * Nothing is read twice: the JSON becomes a tree in the arena, and is written once into a buffer. */
#include "sidecar/pipeline/messages.h"

#include "sidecar/pipeline/message_put.h"

enum { DEPTH_MAX = 64, MEMBERS_MAX = 256, ELEMENTS_MAX = 16 * 1024 };

#define USER WB_S("user")
#define ASSISTANT WB_S("assistant")

static wb_status parse(wb_slice text, wb_arena *arena, const wb_json **root)
{
    static const wb_json_limits limits = {.depth = DEPTH_MAX,
                                          .members = MEMBERS_MAX,
                                          .elements = ELEMENTS_MAX,
                                          .string_bytes = WB_MESSAGES_JSON_MAX,
                                          .any_number = true,
                                          .any_value = true,
                                          .any_char = true};
    wb_json_fault fault;
    return wb_json_parse(text, &limits, arena, root, &fault);
}

static bool may_be_json(wb_slice text)
{
    size_t at = 0;
    while (at < text.len && strchr(" \t\r\n", text.ptr[at]) && text.ptr[at]) at++;
    return at < text.len && text.len <= WB_MESSAGES_JSON_MAX &&
           (text.ptr[at] == '{' || text.ptr[at] == '[' || text.ptr[at] == '"');
}

wb_status wb_messages_parse(wb_slice text, wb_arena *arena, const wb_json **root)
{
    *root = NULL;
    return may_be_json(text) ? parse(text, arena, root) : WB_OK;
}

/* ---- members ---- */

/* The first of those names that is there and no null; names ends with NULL. */
static const wb_json *member(const wb_json *object, const char *const *names)
{
    for (; *names; names++) {
        const wb_json *found = wb_json_member(object, wb_slice_str(*names));
        if (found && found->type != WB_JSON_NULL) return found;
    }
    return NULL;
}
#define MEMBER(object, ...) member(object, (const char *const[]){__VA_ARGS__, NULL})

static wb_slice text_of(const wb_json *value)
{
    return value && value->type == WB_JSON_STRING ? value->text : (wb_slice){NULL, 0};
}

#define TEXT(object, ...) text_of(MEMBER(object, __VA_ARGS__))

static bool is_array(const wb_json *value) { return value && value->type == WB_JSON_ARRAY; }
static bool is_object(const wb_json *value) { return value && value->type == WB_JSON_OBJECT; }

/* ---- parts ---- */

typedef enum part_kind { NO_PART, PLAIN, REASONING, CALL, RESPONSE, IMAGE } part_kind;

typedef struct part_word {
    const char *type;
    part_kind kind;
} part_word;

static const part_word part_words[] = {
    {"text", PLAIN},
    {"input_text", PLAIN},
    {"output_text", PLAIN},
    {"thinking", REASONING},
    {"reasoning", REASONING},
    {"image_url", IMAGE},
    {"input_image", IMAGE},
    {"tool_use", CALL},
    {"tool-call", CALL},
    {"function_call", CALL},
    {"tool_result", RESPONSE},
    {"tool-result", RESPONSE},
    {"function_call_output", RESPONSE},
};

static part_kind kind_of(const wb_json *value)
{
    wb_slice type = TEXT(value, "type");
    for (size_t i = 0; i < WB_COUNT(part_words); i++)
        if (wb_slice_eq(type, wb_slice_str(part_words[i].type))) return part_words[i].kind;
    return NO_PART;
}

/* {"id", "function": {"name", "arguments"}}, or the same without the object within. */
static wb_status put_call(wb_buffer *out, const wb_json *call)
{
    const wb_json *function = MEMBER(call, "function");
    const wb_json *of = is_object(function) ? function : call;
    return wb_put_call_part(out, TEXT(call, "toolCallId", "call_id", "tool_call_id", "id"),
                            TEXT(of, "toolName", "name"), MEMBER(of, "arguments", "input", "args"));
}

static wb_status put_response(wb_buffer *out, const wb_json *part)
{
    const wb_json *response = MEMBER(part, "output", "result", "response", "content");
    const wb_json *within = MEMBER(response, "value"); /* the AI SDK's {"type", "value"} */
    return wb_put_response_part(
        out, TEXT(part, "toolCallId", "tool_use_id", "call_id", "tool_call_id", "id"),
        within ? within : response);
}

static wb_status put_as_it_is(wb_buffer *out, const wb_json *part)
{
    WB_TRY(wb_put_comma(out));
    return wb_put_json(out, part);
}

static wb_status put_part(wb_buffer *out, const wb_json *part)
{
    wb_slice text =
        part->type == WB_JSON_STRING ? part->text : TEXT(part, "text", "content", "thinking");
    wb_slice url = TEXT(part, "image_url");
    if (url.len == 0) url = TEXT(MEMBER(part, "image_url"), "url");
    if (part->type == WB_JSON_STRING) return wb_put_text_part(out, "text", text);
    if (part->type != WB_JSON_OBJECT) return WB_OK;
    switch (kind_of(part)) {
    case PLAIN: return wb_put_text_part(out, "text", text);
    case REASONING:
        if (text.len > 0) return wb_put_text_part(out, "reasoning", text);
        break;
    case CALL: return put_call(out, part);
    case RESPONSE: return put_response(out, part);
    case IMAGE:
        if (url.len > 0) return wb_put_uri_part(out, "image", url);
        break;
    case NO_PART:
        if (!MEMBER(part, "type") && text.len > 0) return wb_put_text_part(out, "text", text);
        break;
    }
    return put_as_it_is(out, part);
}

/* A text, one part, or a list of them. */
static wb_status put_parts(wb_buffer *out, const wb_json *content)
{
    if (!content) return WB_OK;
    if (!is_array(content)) return put_part(out, content);
    for (const wb_json *part = content->first; part; part = part->next) WB_TRY(put_part(out, part));
    return WB_OK;
}

/* ---- messages ---- */

static bool is_message(const wb_json *value)
{
    if (!is_object(value)) return value && value->type == WB_JSON_STRING;
    return TEXT(value, "role").len > 0 || kind_of(value) != NO_PART;
}

static bool are_messages(const wb_json *list)
{
    if (!is_array(list) || !list->first) return false;
    for (const wb_json *each = list->first; each; each = each->next)
        if (!is_message(each)) return false;
    return true;
}

static wb_slice role_of(const wb_json *message, wb_slice otherwise)
{
    wb_slice role = TEXT(message, "role");
    if (role.len > 0) return role;
    part_kind kind = kind_of(message);
    return kind == CALL ? ASSISTANT : kind == RESPONSE ? WB_S("tool") : otherwise;
}

static wb_status put_content(wb_buffer *out, const wb_json *message)
{
    const wb_json *content = MEMBER(message, "content", "parts");
    wb_slice answers = TEXT(message, "tool_call_id");
    if (answers.len > 0 && content) return wb_put_response_part(out, answers, content);
    return put_parts(out, content);
}

static wb_status put_calls(wb_buffer *out, const wb_json *calls)
{
    if (is_object(calls))
        return put_call(out, calls); /* function_call, before there were several */
    for (const wb_json *each = is_array(calls) ? calls->first : NULL; each; each = each->next)
        if (is_object(each)) WB_TRY(put_call(out, each));
    return WB_OK;
}

static wb_status put_message(wb_buffer *out, const wb_json *message, wb_slice role,
                             wb_slice finish_reason)
{
    WB_TRY(wb_put_message(out, role_of(message, role)));
    if (TEXT(message, "role").len == 0) {
        WB_TRY(put_part(out, message)); /* a part that stands alone */
    } else {
        WB_TRY(wb_put_text_part(out, "reasoning", TEXT(message, "reasoning_content", "reasoning")));
        WB_TRY(put_content(out, message));
        WB_TRY(put_calls(out, MEMBER(message, "tool_calls", "function_call")));
    }
    if (finish_reason.len == 0) finish_reason = TEXT(message, "finish_reason", "stop_reason");
    return wb_put_message_end(out, finish_reason);
}

static wb_status put_messages(wb_buffer *out, const wb_json *list, wb_slice role)
{
    for (const wb_json *each = list->first; each; each = each->next)
        WB_TRY(put_message(out, each, role, (wb_slice){NULL, 0}));
    return WB_OK;
}

static wb_status put_choices(wb_buffer *out, const wb_json *choices)
{
    for (const wb_json *each = choices->first; each; each = each->next) {
        const wb_json *message = MEMBER(each, "message", "text");
        if (message && is_message(message))
            WB_TRY(put_message(out, message, ASSISTANT, TEXT(each, "finish_reason")));
    }
    return WB_OK;
}

static wb_status put_text_message(wb_buffer *out, wb_slice role, wb_slice text)
{
    if (text.len == 0) return WB_OK;
    WB_TRY(wb_put_message(out, role));
    WB_TRY(wb_put_text_part(out, "text", text));
    return wb_put_message_end(out, (wb_slice){NULL, 0});
}

static bool is_said(const wb_json *value) { return are_messages(value) || text_of(value).len > 0; }

/* Of a request or an answer; NULL: the object is neither. */
static const wb_json *messages_in(const wb_json *root)
{
    static const char *const names[] = {"messages", "prompt", "input", "output"};
    for (size_t i = 0; i < WB_COUNT(names); i++) {
        const wb_json *found = wb_json_member(root, wb_slice_str(names[i]));
        if (is_said(found)) return found;
    }
    return NULL;
}

/* A request, beside whose messages stand its instructions, which an answer of the same API repeats; an answer; a
 * message. Nothing is written of an object that is none of them. */
static wb_status put_object(wb_buffer *out, const wb_json *root, wb_slice role)
{
    const wb_json *list = messages_in(root), *choices = MEMBER(root, "choices");
    const wb_json *system = MEMBER(root, "system", "instructions");
    if (is_message(root)) return put_message(out, root, role, (wb_slice){NULL, 0});
    if (is_array(choices)) return put_choices(out, choices);
    if (!list) return WB_OK;
    if (is_said(system) && !wb_slice_eq(role, ASSISTANT)) {
        WB_TRY(wb_put_message(out, WB_S("system")));
        WB_TRY(put_parts(out, system));
        WB_TRY(wb_put_message_end(out, (wb_slice){NULL, 0}));
    }
    if (is_array(list)) return put_messages(out, list, role);
    return put_text_message(out, role, list->text);
}

/* ---- whole texts ---- */

static bool is_part(const wb_json *value)
{
    wb_slice type = TEXT(value, "type");
    return type.len > 0 && (kind_of(value) == NO_PART ||
                            (wb_slice_eq(type, WB_S("text")) && MEMBER(value, "content")));
}

/* Is it as the model has it? */
static bool is_canonical(const wb_json *root)
{
    if (!is_array(root) || !root->first) return false;
    for (const wb_json *each = root->first; each; each = each->next) {
        const wb_json *parts = MEMBER(each, "parts");
        if (TEXT(each, "role").len == 0 || !is_array(parts) || MEMBER(each, "content"))
            return false;
        for (const wb_json *part = parts->first; part; part = part->next)
            if (!is_part(part)) return false;
    }
    return true;
}

static wb_status finish(wb_buffer *out, wb_arena *arena, wb_slice *json)
{
    WB_TRY(wb_put(out, "]"));
    return wb_arena_dup(arena, wb_buffer_slice(out), json);
}

static wb_status put_root(wb_buffer *out, const wb_json *root, wb_slice role)
{
    if (!root) return WB_OK;
    if (root->type == WB_JSON_STRING) return put_text_message(out, role, root->text);
    if (is_object(root)) return put_object(out, root, role);
    return are_messages(root) ? put_messages(out, root, role) : WB_OK;
}

wb_status wb_messages_read(wb_slice text, wb_slice role, wb_buffer *room, wb_arena *arena,
                           wb_slice *json)
{
    const wb_json *root;
    wb_buffer_clear(room);
    if (text.len == 0) return WB_ERR_NOT_FOUND;
    WB_TRY(wb_messages_parse(text, arena, &root));
    if (is_canonical(root)) {
        *json = text;
        return WB_OK;
    }
    WB_TRY(wb_put(room, "["));
    WB_TRY(put_root(room, root, role));
    if (room->len == 1) WB_TRY(put_text_message(room, role, text));
    return finish(room, arena, json);
}

wb_status wb_messages_of_answer(wb_slice span_message, wb_buffer *room, wb_arena *arena,
                                wb_slice *json)
{
    static const char *const texts[][2] = {{"ai.response.reasoning", "reasoning"},
                                           {"ai.response.text", "text"},
                                           {"ai.response.object", "text"}};
    const wb_json *calls;
    wb_buffer_clear(room);
    WB_TRY(wb_put(room, "["));
    WB_TRY(wb_put_message(room, ASSISTANT));
    size_t empty = room->len;
    for (size_t i = 0; i < WB_COUNT(texts); i++)
        WB_TRY(wb_put_text_part(
            room, texts[i][1],
            wb_otlp_find_text(span_message, WB_OTLP_SPAN, wb_slice_str(texts[i][0]))));
    wb_slice text = wb_otlp_find_text(span_message, WB_OTLP_SPAN, WB_S("ai.response.toolCalls"));
    WB_TRY(wb_messages_parse(text, arena, &calls));
    if (is_array(calls)) WB_TRY(put_calls(room, calls));
    if (room->len == empty) return WB_ERR_NOT_FOUND;
    WB_TRY(wb_put_message_end(room, (wb_slice){NULL, 0}));
    return finish(room, arena, json);
}

/* ---- tools ---- */

wb_status wb_tools_put(wb_buffer *out, const wb_json *tool)
{
    const wb_json *function = MEMBER(tool, "function");
    const wb_json *of = is_object(function) ? function : tool;
    wb_slice name = TEXT(of, "name");
    if (!is_object(tool)) return WB_OK;
    if (name.len == 0) return put_as_it_is(out, tool); /* one of the provider's own */
    return wb_put_tool(out, TEXT(tool, "type"), name, TEXT(of, "description"),
                       MEMBER(of, "parameters", "input_schema", "inputSchema"));
}

static wb_status put_tools(wb_buffer *out, wb_slice text, wb_arena *arena)
{
    const wb_json *root;
    WB_TRY(wb_messages_parse(text, arena, &root));
    const wb_json *list = is_object(root) ? MEMBER(root, "tools") : root;
    if (is_object(root) && !list && MEMBER(root, "name")) return wb_tools_put(out, root);
    for (const wb_json *each = is_array(list) ? list->first : NULL; each; each = each->next)
        WB_TRY(wb_tools_put(out, each));
    return WB_OK;
}

/* Of a request the messages are read for themselves; most have no tools. */
static bool may_have_tools(wb_slice text)
{
    return text.len > 0 &&
           (text.ptr[0] == '[' || memmem(text.ptr, text.len, "\"tools\"", sizeof "\"tools\"" - 1));
}

wb_status wb_tools_read(wb_value value, wb_buffer *room, wb_arena *arena, wb_slice *json)
{
    wb_value item;
    wb_buffer_clear(room);
    WB_TRY(wb_put(room, "["));
    if (value.type == WB_VALUE_ARRAY) {
        wb_otlp_iter it = {value.bytes};
        while (wb_otlp_next_item(&it, &item))
            if (item.type == WB_VALUE_TEXT) WB_TRY(put_tools(room, item.text, arena));
    } else if (value.type == WB_VALUE_TEXT && may_have_tools(value.text)) {
        WB_TRY(put_tools(room, value.text, arena));
    }
    return room->len > 1 ? finish(room, arena, json) : WB_ERR_NOT_FOUND;
}

/* ---- arguments ---- */

wb_status wb_arguments_read(wb_slice text, wb_buffer *room, wb_arena *arena, wb_slice *json)
{
    const wb_json *root;
    *json = text;
    if (text.len == 0 || !memmem(text.ptr, text.len, "\"kwargs\"", sizeof "\"kwargs\"" - 1))
        return WB_OK;
    wb_buffer_clear(room);
    WB_TRY(wb_messages_parse(text, arena, &root));
    const wb_json *args = MEMBER(root, "args"), *kwargs = MEMBER(root, "kwargs");
    if (!root || !is_array(args) || !is_object(kwargs) || root->n != 2 ||
        (args->first && kwargs->first))
        return WB_OK;
    WB_TRY(wb_put_json(room, args->first ? args : kwargs));
    return wb_arena_dup(arena, wb_buffer_slice(room), json);
}
