/* SPDX-License-Identifier: Apache-2.0 */
/* The called side of a delegation, around the work on one message:
 *
 *     take the carrier out      the work, a log or a task's history must never see it
 *     digest the parts          with the carrier's salt; binds the token to this very text
 *     waybill_accept            the sidecar judges; refused: the peer learns a class and a ref, no more
 *     work                      below the acceptance's context, whatever the request's headers claim
 *     waybill_finish            before the answer leaves, so that nobody sees an answer to open work
 *
 * Without a sidecar the work goes on, unverified, unless the sidecar enforced when it was last there. */
#include "agent.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cjson/cJSON.h>

enum { INVALID_REQUEST = -32600, INVALID_PARAMS = -32602, INTERNAL_ERROR = -32603 };

/* The carrier's JSON text, or NULL if none came. One that stands twice is taken out twice. */
static char *take_carrier(cJSON *message)
{
    char *text = NULL;
    cJSON *found, *metadata = cJSON_GetObjectItemCaseSensitive(message, "metadata");
    while ((found = cJSON_DetachItemFromObjectCaseSensitive(metadata, WAYBILL_EXTENSION_URI))) {
        if (!text) text = cJSON_PrintUnformatted(found);
        cJSON_Delete(found);
    }
    return text;
}

/* Whether there is a digest. It is made of what the parts mean and not of their bytes, so printing them
 * again does no harm. */
static bool digest_of(const cJSON *message, const char *carrier, uint8_t out[WAYBILL_DIGEST_BYTES])
{
    uint8_t salt[WAYBILL_SALT_BYTES];
    if (!carrier || !waybill_carrier_salt(carrier, strlen(carrier), salt)) return false;
    char *parts = cJSON_PrintUnformatted(cJSON_GetObjectItemCaseSensitive(message, "parts"));
    waybill_status made =
        waybill_body_digest(WAYBILL_A2A_1_0, salt, parts, strlen(parts), out, NULL);
    cJSON_free(parts);
    return made == WAYBILL_OK;
}

static waybill_status accept_it(agent *self, const request *in, cJSON *message,
                                waybill_acceptance **out, waybill_error *why)
{
    uint8_t digest[WAYBILL_DIGEST_BYTES];
    char *carrier = take_carrier(message);
    waybill_accept_request asked = {
        .size = sizeof asked,
        .carrier = carrier,
        .headers = in->headers,
        .n_headers = in->n_headers,
        .method = "SendMessage",
        .message_id = a2a_member(message, "messageId"),
        .context_id = a2a_member(message, "contextId"),
        .body_digest = digest_of(message, carrier, digest) ? digest : NULL,
        .peer = in->peer,
    };
    waybill_status status = waybill_accept(self->waybill, &asked, out, why);
    cJSON_free(carrier);
    return status;
}

/* What a peer is told of a refusal: docs/tokens.md, section 15. */
static char *refusal(const cJSON *id, const waybill_error *why)
{
    char reason[sizeof "WAYBILL_" + sizeof why->wire_class] = "WAYBILL_";
    const char *word = why->wire_class[0] ? why->wire_class : "refused";
    for (size_t at = strlen(reason); *word; word++) reason[at++] = (char)toupper(*word);
    cJSON *detail = cJSON_CreateObject();
    cJSON_AddStringToObject(detail, "@type", "type.googleapis.com/google.rpc.ErrorInfo");
    cJSON_AddStringToObject(detail, "reason", reason);
    cJSON_AddStringToObject(detail, "domain", "w3id.org/waybill");
    cJSON_AddStringToObject(cJSON_AddObjectToObject(detail, "metadata"), "ref", why->ref);
    return a2a_error(id, INVALID_REQUEST, "refused by Waybill", detail);
}

static char *turn_away(const cJSON *id, const waybill_error *why)
{
    fprintf(stderr, "message not taken: %s%s%s\n", why->detail, why->ref[0] ? ", ref " : "",
            why->ref);
    if (why->status == WAYBILL_DENIED) return refusal(id, why);
    if (why->status == WAYBILL_MALFORMED) /* ids too long, or no UTF-8 */
        return a2a_error(id, INVALID_PARAMS, "the message's ids are no good", NULL);
    return a2a_error(id, INTERNAL_ERROR, "the message could not be verified", NULL);
}

/* Told late is told all the same, so the answer does not wait for more than this call. */
static void finish(agent *self, const waybill_acceptance *accepted, const outcome *found)
{
    waybill_error why;
    waybill_seen seen = {.size = sizeof seen, .error_type = found->error_type};
    const char *how = found->error_type ? "error" : "ok";
    if (waybill_finish(self->waybill, accepted, how, &seen, &why) != WAYBILL_OK)
        fprintf(stderr, "finish: %s\n", why.detail);
}

char *guard_message(agent *self, const request *in, cJSON *message, const cJSON *id)
{
    waybill_acceptance *accepted = NULL;
    waybill_error why;
    if (accept_it(self, in, message, &accepted, &why) != WAYBILL_OK) return turn_away(id, &why);
    char *text = a2a_text_of(cJSON_GetObjectItemCaseSensitive(message, "parts"));
    outcome found = work_on(self, &accepted->context, text);
    finish(self, accepted, &found);
    char *answer = found.error_type ? a2a_error(id, INTERNAL_ERROR, found.text, NULL)
                                    : a2a_message(id, a2a_member(message, "contextId"), found.text);
    waybill_acceptance_free(accepted);
    free(found.text);
    free(text);
    return answer;
}
