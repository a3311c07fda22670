/* SPDX-License-Identifier: Apache-2.0 */
/* Hello: a client learns whom it talks to and what it may send. Optional, stateless. */
#include "sidecar/request.h"

#include "proto/waybill/v1/ipc.pb-c.h"

/* protobuf-c's strings are not const; packing only reads them. */
#define FIXED(text) ((char *)(text))

void wb_on_hello(wb_request *r)
{
    const wb_sidecar_config *config = &r->world->config;
    Waybill__V1__HelloReply *reply = wb_arena_alloc(r->arena, sizeof *reply);
    if (!reply) {
        wb_request_reply(r, WB_ERR_NO_MEMORY, NULL);
        return;
    }
    waybill__v1__hello_reply__init(reply);
    reply->version = FIXED(WAYBILL_VERSION);
    reply->agent_id = wb_arena_printf(r->arena, "%.*s", WB_SLICE_ARG(config->self_ids[0]));
    reply->name = FIXED(config->name);
    /* A batch grows by its index when rendered, and must fit a frame of the journal. */
    uint64_t largest = config->journal_segment_bytes / 4;
    if (largest > config->ipc_max_message_bytes) largest = config->ipc_max_message_bytes;
    reply->max_message_bytes = (uint32_t)largest;
    reply->extension_uri = FIXED(WB_EXTENSION_URI);
    reply->trust_mode = FIXED(wb_trust_mode_name(config->trust_mode));
    reply->on_unavailable =
        FIXED(config->delegate_on_unavailable == WB_ON_UNAVAILABLE_FAIL ? "fail" : "unsigned");
    if (!reply->agent_id) {
        wb_request_reply(r, WB_ERR_NO_MEMORY, NULL);
        return;
    }
    r->reply->body_case = WAYBILL__V1__REPLY__BODY_HELLO;
    r->reply->hello = reply;
    wb_request_reply(r, WB_OK, NULL);
}
