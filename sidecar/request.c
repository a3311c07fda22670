/* SPDX-License-Identifier: Apache-2.0 */
#include "sidecar/request.h"

#include "proto/waybill/v1/ipc.pb-c.h"

/* A full journal is looked at once a second. */
enum { FULL_RETRY_MS = 1000 };

static void count_answer(wb_request *r, wb_status status)
{
    wb_counters *counters = &r->sidecar->counters;
    wb_count_answer(counters, WB_RECEIVER_IPC, status);
    wb_histogram_observe(&counters->request_time[r->kind], &wb_bounds_short,
                         wb_mono(r->sidecar->clock) - r->arrived_mono);
}

void wb_request_reply(wb_request *r, wb_status status, const char *detail)
{
    static char nothing[] = "";
    wb_slice packed;
    r->reply->status = (Waybill__V1__Status)status;
    r->reply->detail = detail ? wb_arena_printf(r->arena, "%s", detail) : NULL;
    if (!r->reply->detail) r->reply->detail = nothing;
    if (status != WB_OK && status != WB_ERR_DENIED) /* a body belongs to an answer only */
        r->reply->body_case = WAYBILL__V1__REPLY__BODY__NOT_SET;
    if (wb_request_pack(r->arena, r->reply, &packed, NULL) != WB_OK)
        packed = (wb_slice){0}; /* nothing can be said: an empty reply would read as OK */
    wb_ipc_answer(r->call, packed);
    count_answer(r, status);
    wb_world_drop(r->world);
    r->world = NULL;
    r->ended = NULL;
    wb_buffer_done(&r->spans);
    wb_arena_reset(r->arena); /* a slot that waits for its next request holds next to nothing */
    wb_ipc_send(r->call);     /* from here on the slot may serve another request */
}

void wb_request_refuse(wb_request *r, wb_refusal *refusal)
{
    uint64_t key = wb_peer_key(&r->sidecar->peer_secret, refusal->peer, wb_ipc_connection(r->call));
    wb_refusals_add(r->sidecar->refusals, key, refusal, r->ref);
    r->reply->ref = r->ref;
}

static void done(wb_txn *txn, wb_status status, const wb_error *err)
{
    wb_request *r = wb_request_of(txn);
    if (status == WB_ERR_FULL && r->reply->retry_after_ms == 0)
        r->reply->retry_after_ms = FULL_RETRY_MS;
    if (r->ended) r->ended(r, status, err);
    wb_request_reply(r, status, status == WB_OK ? NULL : err->detail);
}

void wb_request_submit(wb_request *r,
                       wb_status (*prepare)(wb_txn *, wb_state *, wb_txn_entries *, wb_error *))
{
    r->txn.prepare = prepare;
    r->txn.done = done;
    wb_writer_submit(r->sidecar->writer, &r->txn);
}

bool wb_request_id(const ProtobufCBinaryData *field, wb_id *out)
{
    if (field->len != sizeof out->b) return false;
    memcpy(out->b, field->data, sizeof out->b);
    return !WB_ID_ABSENT(*out);
}

ProtobufCBinaryData wb_request_bytes(const void *bytes, size_t len)
{
    return (ProtobufCBinaryData){.len = len, .data = (uint8_t *)bytes}; /* packing only reads */
}

wb_status wb_request_pack(wb_arena *arena, const void *row, wb_slice *out, wb_error *err)
{
    const ProtobufCMessage *message = row;
    size_t len = protobuf_c_message_get_packed_size(message);
    uint8_t *bytes = wb_arena_alloc(arena, len);
    if (!bytes) return wb_fail(err, WB_ERR_NO_MEMORY, "no room to pack a row of %zu bytes", len);
    *out = wb_slice_of(bytes, protobuf_c_message_pack(message, bytes));
    return WB_OK;
}
