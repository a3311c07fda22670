/* SPDX-License-Identifier: Apache-2.0 */
/* The calling side of a delegation: ask the next agent a question over A2A.
 *
 *     read its card             its interface's URL, its name, whether it takes tokens, as whom
 *     digest the parts          with a fresh salt
 *     waybill_delegate          the sidecar signs; answers the carrier and the W3C headers
 *     send                      the carrier in the message's metadata, the headers beside it
 *     waybill_settle            by what came back, on every way out; of a task that goes on: waybill_observe
 *
 * A delegation that the sidecar denies is not sent. One that it does not sign, since the sidecar is away or
 * the peer takes no tokens, goes out with the headers alone; waybill_delegate's answer says which. */
#include "agent.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cjson/cJSON.h>

static const struct { /* how a task's end settles a delegation */
    const char *state, *outcome;
} ends[] = {
    {"TASK_STATE_COMPLETED", "completed"},
    {"TASK_STATE_FAILED", "failed"},
    {"TASK_STATE_CANCELED", "canceled"},
    {"TASK_STATE_REJECTED", "rejected"},
};

/* What an answer comes to: for the sidecar, and for us. */
typedef struct verdict {
    const char *settle; /* NULL: it goes on */
    waybill_seen seen;
    outcome found;
} verdict;

static outcome failure(char *taken_text)
{
    return (outcome){.text = taken_text, .error_type = "next_agent"};
}

/* ---- the card ------------------------------------------------------------------------------ */

static cJSON *fetch_card(const char *base)
{
    int len = (int)strlen(base);
    while (len > 0 && base[len - 1] == '/') len--;
    char *url = a2a_format("%.*s/.well-known/agent-card.json", len, base);
    reply got = http_get(url);
    free(url);
    cJSON *card = !got.fault && got.status == 200 && got.body ? cJSON_Parse(got.body) : NULL;
    free(got.body);
    return card;
}

/* "" if it has no interface that we speak. */
static const char *interface_url(const cJSON *card)
{
    const cJSON *face;
    cJSON_ArrayForEach(
        face, cJSON_GetObjectItemCaseSensitive(
                  card, "supportedInterfaces")) if (strcmp(a2a_member(face, "protocolBinding"),
                                                           "JSONRPC") == 0 &&
                                                    strncmp(a2a_member(face, "protocolVersion"),
                                                            "1.", 2) == 0) return a2a_member(face,
                                                                                             "url");
    return "";
}

/* The card's declaration that its agent takes tokens; or NULL. */
static const cJSON *declaration(const cJSON *card)
{
    const cJSON *one, *can = cJSON_GetObjectItemCaseSensitive(card, "capabilities");
    cJSON_ArrayForEach(one,
                       cJSON_GetObjectItemCaseSensitive(
                           can, "extensions")) if (strcmp(a2a_member(one, "uri"),
                                                          WAYBILL_EXTENSION_URI) == 0) return one;
    return NULL;
}

/* ---- the message --------------------------------------------------------------------------- */

static cJSON *make_message(const char *question)
{
    char *message_id = a2a_new_id();
    cJSON *message = cJSON_CreateObject(), *part = cJSON_CreateObject();
    cJSON_AddStringToObject(message, "messageId", message_id);
    free(message_id);
    cJSON_AddStringToObject(message, "role", "ROLE_USER");
    cJSON_AddStringToObject(part, "text", question);
    cJSON_AddItemToArray(cJSON_AddArrayToObject(message, "parts"), part);
    return message;
}

static void put_carrier(cJSON *message, const waybill_delegation *delegation)
{
    if (!*delegation->carrier) return;
    cJSON_AddItemToObject(cJSON_AddObjectToObject(message, "metadata"), WAYBILL_EXTENSION_URI,
                          cJSON_Parse(delegation->carrier));
    cJSON_AddItemToArray(cJSON_AddArrayToObject(message, "extensions"),
                         cJSON_CreateString(WAYBILL_EXTENSION_URI));
}

static waybill_status delegate(agent *self, const waybill_context *inside, const cJSON *card,
                               const cJSON *message, waybill_delegation **out, waybill_error *why)
{
    uint8_t salt[WAYBILL_SALT_BYTES], digest[WAYBILL_DIGEST_BYTES];
    const cJSON *declared = declaration(card);
    char *parts = cJSON_PrintUnformatted(cJSON_GetObjectItemCaseSensitive(message, "parts"));
    waybill_make_salt(salt);
    bool bound = waybill_body_digest(WAYBILL_A2A_1_0, salt, parts, strlen(parts), digest, NULL) ==
                 WAYBILL_OK;
    cJSON_free(parts);
    waybill_delegate_request asked = {
        .size = sizeof asked,
        .method = "SendMessage",
        .message_id = a2a_member(message, "messageId"),
        .target_url = interface_url(card),
        .target_agent_id =
            a2a_member(cJSON_GetObjectItemCaseSensitive(declared, "params"), "agent_id"),
        .target_name = a2a_member(card, "name"),
        .target_declares = declared != NULL,
        .salt = bound ? salt : NULL,
        .body_digest = bound ? digest : NULL,
        .parent = inside,
    };
    return waybill_delegate(self->waybill, &asked, out, why);
}

static reply post(const char *url, cJSON *taken_message, const waybill_delegation *delegation)
{
    waybill_header headers[] = {
        {"A2A-Version", "1.0"},
        {"A2A-Extensions", *delegation->carrier ? WAYBILL_EXTENSION_URI : ""},
        {"traceparent", delegation->traceparent},
        {"tracestate", delegation->tracestate},
        {"baggage", delegation->baggage},
    };
    cJSON *root = cJSON_CreateObject();
    cJSON_AddStringToObject(root, "jsonrpc", "2.0");
    cJSON_AddStringToObject(root, "id", a2a_member(taken_message, "messageId"));
    cJSON_AddStringToObject(root, "method", "SendMessage");
    cJSON_AddItemToObject(cJSON_AddObjectToObject(root, "params"), "message", taken_message);
    char *body = cJSON_PrintUnformatted(root);
    reply got = http_post_json(url, body, headers, sizeof headers / sizeof *headers);
    cJSON_free(body);
    cJSON_Delete(root);
    return got;
}

/* ---- the answer ---------------------------------------------------------------------------- */

static char *task_text(const cJSON *task)
{
    const cJSON *status = cJSON_GetObjectItemCaseSensitive(task, "status");
    const cJSON *message = cJSON_GetObjectItemCaseSensitive(status, "message");
    if (!message)
        message = cJSON_GetArrayItem(cJSON_GetObjectItemCaseSensitive(task, "artifacts"), 0);
    return a2a_text_of(cJSON_GetObjectItemCaseSensitive(message, "parts"));
}

/* A task that goes on after a call that waits wants more than this agent can give: input, say. */
static verdict judge_task(const cJSON *task)
{
    const cJSON *status = cJSON_GetObjectItemCaseSensitive(task, "status");
    verdict v = {.seen = {.size = sizeof v.seen,
                          .task_state = a2a_member(status, "state"),
                          .task_id = a2a_member(task, "id"),
                          .context_id = a2a_member(task, "contextId")}};
    for (size_t i = 0; i < sizeof ends / sizeof *ends; i++)
        if (strcmp(ends[i].state, v.seen.task_state) == 0) v.settle = ends[i].outcome;
    if (v.settle && strcmp(v.settle, "completed") == 0)
        v.found.text = task_text(task);
    else
        v.found = failure(a2a_format("the next agent's task is %s", v.seen.task_state));
    return v;
}

/* The other side's Waybill refuses by a message of its own; all other errors are failures. */
static verdict judge_error(const cJSON *error)
{
    const char *said = a2a_member(error, "message");
    verdict v = {.settle = strcmp(said, "refused by Waybill") == 0 ? "rejected" : "failed",
                 .seen = {.size = sizeof v.seen, .error_type = "json_rpc_error"},
                 .found = failure(a2a_format("the next agent answered: %s", said))};
    return v;
}

static verdict failed(const char *type, long status)
{
    verdict v = {.settle = "failed", .seen = {.size = sizeof v.seen, .error_type = type}};
    v.found = failure(a2a_format("no answer from the next agent: %s, HTTP %ld", type, status));
    return v;
}

/* `root` owns the texts in what is returned. */
static verdict judge(const reply *got, const cJSON *root)
{
    const cJSON *result = cJSON_GetObjectItemCaseSensitive(root, "result");
    const cJSON *error = cJSON_GetObjectItemCaseSensitive(root, "error");
    const cJSON *message = cJSON_GetObjectItemCaseSensitive(result, "message");
    const cJSON *task = cJSON_GetObjectItemCaseSensitive(result, "task");
    if (got->fault) return failed(got->fault, got->status);
    if (got->status != 200) return failed("http_status", got->status);
    if (error) return judge_error(error);
    if (task) return judge_task(task);
    if (!message) return failed("not_a2a", got->status);
    verdict v = {.settle = "answered",
                 .seen = {.size = sizeof v.seen, .context_id = a2a_member(message, "contextId")}};
    v.found.text = a2a_text_of(cJSON_GetObjectItemCaseSensitive(message, "parts"));
    return v;
}

/* Send what was delegated, and tell how it ended. */
static outcome hand_over(agent *self, const char *url, cJSON *taken_message,
                         const waybill_delegation *delegation)
{
    waybill_error why;
    put_carrier(taken_message, delegation);
    reply got = post(url, taken_message, delegation);
    cJSON *root = got.body ? cJSON_Parse(got.body) : NULL;
    verdict v = judge(&got, root);
    waybill_status told = v.settle
                              ? waybill_settle(self->waybill, delegation, v.settle, &v.seen, &why)
                              : waybill_observe(self->waybill, delegation, &v.seen, &why);
    if (told != WAYBILL_OK)
        fprintf(stderr, "delegation: %s: %s\n", waybill_status_name(told), why.detail);
    cJSON_Delete(root);
    free(got.body);
    return v.found;
}

static outcome ask_card(agent *self, const waybill_context *inside, const char *question,
                        const cJSON *card)
{
    waybill_delegation *delegation = NULL;
    waybill_error why;
    if (!*interface_url(card))
        return failure(a2a_format("the next agent's card has no interface for JSONRPC 1.0"));
    cJSON *message = make_message(question);
    if (delegate(self, inside, card, message, &delegation, &why) != WAYBILL_OK) {
        cJSON_Delete(message);
        return (outcome){.text = a2a_format("not delegated: %s", why.detail),
                         .error_type = waybill_status_name(why.status)};
    }
    outcome found = hand_over(self, interface_url(card), message, delegation);
    waybill_delegation_free(delegation);
    return found;
}

outcome ask_next(agent *self, const waybill_context *inside, const char *question)
{
    cJSON *card = fetch_card(self->next_url);
    outcome found = card ? ask_card(self, inside, question, card)
                         : failure(a2a_format("the next agent has no card that could be read"));
    cJSON_Delete(card);
    return found;
}
