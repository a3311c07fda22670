/* SPDX-License-Identifier: Apache-2.0 */
/* A2A 1.0 over JSON-RPC, as much as an agent needs that answers a SendMessage by a Message: the card, the
 * envelope, the errors. What is no good is answered here, in the order in which a server can know it:
 *
 *     not JSON                                -32700        no message id, no parts      -32602
 *     no JSON-RPC 2.0 call, or a batch        -32600        a task that we do not have   -32001
 *     another version of A2A                  -32009        streaming                    -32004
 *     a method that does not exist            -32601
 *
 * A JSON-RPC error travels with HTTP status 200. */
#include "agent.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include <cjson/cJSON.h>

static const struct {
    const char *method, *message;
    int code;
} others[] = {
    {"SendStreamingMessage", "this agent does not stream", -32004},
    {"SubscribeToTask", "Task not found", -32001},
    {"GetTask", "Task not found", -32001},
    {"CancelTask", "Task not found", -32001},
};

/* ---- small helpers ------------------------------------------------------------------------- */

const char *a2a_member(const cJSON *object, const char *name)
{
    const char *text = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(object, name));
    return text ? text : "";
}

char *a2a_format(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    int len = vsnprintf(NULL, 0, format, args);
    va_end(args);
    char *text = cJSON_malloc((size_t)len + 1);
    va_start(args, format);
    vsnprintf(text, (size_t)len + 1, format, args);
    va_end(args);
    return text;
}

char *a2a_new_id(void)
{
    uint64_t half[2]; /* random bytes are random bytes */
    uint8_t raw[WAYBILL_SALT_BYTES];
    waybill_make_salt(raw);
    memcpy(half, raw, sizeof half);
    return a2a_format("%016" PRIx64 "%016" PRIx64, half[0], half[1]);
}

char *a2a_text_of(const cJSON *parts)
{
    const cJSON *part;
    size_t len = 0;
    cJSON_ArrayForEach(part, parts) len += strlen(a2a_member(part, "text")) + 1;
    char *text = cJSON_malloc(len + 1), *at = text;
    cJSON_ArrayForEach(part, parts)
    {
        const char *piece = a2a_member(part, "text");
        if (*piece) at += sprintf(at, "%s%s", at > text ? "\n" : "", piece);
    }
    *at = '\0';
    return text;
}

/* The text of a reply, with the id that came; `taken` becomes its "result" or "error". */
static char *envelope(const cJSON *id, const char *member, cJSON *taken)
{
    cJSON *root = cJSON_CreateObject();
    cJSON_AddStringToObject(root, "jsonrpc", "2.0");
    cJSON_AddItemToObject(root, "id", id ? cJSON_Duplicate(id, true) : cJSON_CreateNull());
    cJSON_AddItemToObject(root, member, taken);
    char *text = cJSON_PrintUnformatted(root);
    cJSON_Delete(root);
    return text;
}

char *a2a_error(const cJSON *id, int code, const char *message, cJSON *taken_detail)
{
    cJSON *error = cJSON_CreateObject();
    cJSON_AddNumberToObject(error, "code", code);
    cJSON_AddStringToObject(error, "message", message);
    if (taken_detail) cJSON_AddItemToArray(cJSON_AddArrayToObject(error, "data"), taken_detail);
    return envelope(id, "error", error);
}

char *a2a_message(const cJSON *id, const char *context_id, const char *text)
{
    char *message_id = a2a_new_id();
    cJSON *result = cJSON_CreateObject(), *part = cJSON_CreateObject();
    cJSON *message = cJSON_AddObjectToObject(result, "message");
    cJSON_AddStringToObject(message, "messageId", message_id);
    free(message_id);
    if (*context_id) cJSON_AddStringToObject(message, "contextId", context_id);
    cJSON_AddStringToObject(message, "role", "ROLE_AGENT");
    cJSON_AddStringToObject(part, "text", text);
    cJSON_AddItemToArray(cJSON_AddArrayToObject(message, "parts"), part);
    return envelope(id, "result", result);
}

/* ---- the card ------------------------------------------------------------------------------ */

/* Says that we take tokens, and as whom: docs/tokens.md, section 2. */
static cJSON *extension(const agent *self)
{
    cJSON *made = cJSON_CreateObject();
    cJSON_AddStringToObject(made, "uri", WAYBILL_EXTENSION_URI);
    cJSON_AddStringToObject(made, "description", "Waybill: signed delegations");
    cJSON_AddFalseToObject(made, "required");
    if (self->agent_id)
        cJSON_AddStringToObject(cJSON_AddObjectToObject(made, "params"), "agent_id",
                                self->agent_id);
    return made;
}

char *a2a_card(const agent *self)
{
    cJSON *card = cJSON_Parse(
        "{\"name\":\"proofreader\",\"description\":\"Says whether a claim "
        "holds\",\"version\":\"1.0.0\","
        "\"defaultInputModes\":[\"text/plain\"],\"defaultOutputModes\":[\"text/plain\"],"
        "\"skills\":[{\"id\":\"proofread\",\"name\":\"proofread\",\"tags\":[\"text\"],"
        "\"description\":\"Counts the words of a claim, and asks another agent whether it "
        "holds\"}]}");
    cJSON *face = cJSON_CreateObject();
    cJSON_AddStringToObject(face, "url", self->url);
    cJSON_AddStringToObject(face, "protocolBinding", "JSONRPC");
    cJSON_AddStringToObject(face, "protocolVersion", "1.0");
    cJSON_AddItemToArray(cJSON_AddArrayToObject(card, "supportedInterfaces"), face);
    cJSON *can = cJSON_AddObjectToObject(card, "capabilities");
    cJSON_AddFalseToObject(can, "streaming");
    cJSON_AddItemToArray(cJSON_AddArrayToObject(can, "extensions"), extension(self));
    char *text = cJSON_PrintUnformatted(card);
    cJSON_Delete(card);
    return text;
}

/* ---- a call -------------------------------------------------------------------------------- */

/* No A2A-Version means 0.3 (A2A 1.0, section 3.6.2). */
static bool speaks_1_x(const request *in)
{
    for (size_t i = 0; i < in->n_headers; i++)
        if (strcasecmp(in->headers[i].name, "A2A-Version") == 0)
            return strncmp(in->headers[i].value, "1.", 2) == 0;
    return false;
}

static char *refuse_method(const cJSON *id, const char *method)
{
    for (size_t i = 0; i < sizeof others / sizeof *others; i++)
        if (strcmp(others[i].method, method) == 0)
            return a2a_error(id, others[i].code, others[i].message, NULL);
    return a2a_error(id, -32601, "Method not found", NULL);
}

static char *send_message(agent *self, const request *in, const cJSON *id, const cJSON *params)
{
    cJSON *message = cJSON_GetObjectItemCaseSensitive(params, "message");
    const cJSON *parts = cJSON_GetObjectItemCaseSensitive(message, "parts");
    if (!*a2a_member(message, "messageId"))
        return a2a_error(id, -32602, "params.message.messageId is missing", NULL);
    if (!cJSON_IsArray(parts) || cJSON_GetArraySize(parts) == 0)
        return a2a_error(id, -32602, "params.message.parts is missing or empty", NULL);
    if (*a2a_member(message, "taskId")) return a2a_error(id, -32001, "Task not found", NULL);
    return guard_message(self, in, message, id);
}

static char *call(agent *self, const request *in, const cJSON *root)
{
    const cJSON *id = cJSON_GetObjectItemCaseSensitive(root, "id");
    const char *method = a2a_member(root, "method");
    bool named = cJSON_IsString(id) || cJSON_IsNumber(id);
    if (!cJSON_IsObject(root) || !named || !*method ||
        strcmp(a2a_member(root, "jsonrpc"), "2.0") != 0)
        return a2a_error(named ? id : NULL, -32600,
                         "not one JSON-RPC 2.0 call with jsonrpc, id and method", NULL);
    if (!speaks_1_x(in))
        return a2a_error(id, -32009, "A2A 1.0 is spoken here: send the header A2A-Version: 1.0",
                         NULL);
    if (strcmp(method, "SendMessage") != 0) return refuse_method(id, method);
    return send_message(self, in, id, cJSON_GetObjectItemCaseSensitive(root, "params"));
}

/* cJSON's texts end at a NUL, so a message with U+0000 in it would lose what follows. */
static bool holds_nul(const request *in)
{
    if (memchr(in->body, '\0', in->len)) return true;
    for (const char *at = in->body; (at = strchr(at, '\\')); at += 2)
        if (strncmp(at, "\\u0000", 6) == 0) return true;
    return false;
}

char *a2a_answer(agent *self, const request *in)
{
    cJSON *root = holds_nul(in) ? NULL : cJSON_ParseWithOpts(in->body, NULL, true);
    char *answer = root
                       ? call(self, in, root)
                       : a2a_error(NULL, -32700, "the body is not JSON, or has U+0000 in it", NULL);
    cJSON_Delete(root);
    return answer;
}
