/* SPDX-License-Identifier: Apache-2.0 */
/* sidecar/request.h: one IPC request on its way through worker and writer to its reply.
 *
 * A worker reads it, checks signatures or signs, and either replies at once or submits the embedded
 * transaction; `done` then replies after the commit. The arena holds all of it and is reset behind the
 * reply. Each verb is one file, on_VERB.c, with one function here. */
#ifndef WAYBILL_SIDECAR_REQUEST_H
#define WAYBILL_SIDECAR_REQUEST_H

#include "core/arena.h"
#include "core/buffer.h"
#include "propagation/refusal.h"
#include "sidecar/sidecar.h"

struct Waybill__V1__Request; /* protobuf-c's, proto/waybill/v1/ipc.proto */
struct Waybill__V1__Reply;
struct ProtobufCBinaryData;

typedef struct wb_request {
    wb_txn txn;
    wb_sidecar *sidecar;
    wb_ipc_call *call;
    const wb_world *world; /* from arrival to reply: keys, trust, policies, peers */
    wb_arena *arena;
    const struct Waybill__V1__Request *in;
    struct Waybill__V1__Reply *reply;
    uint64_t arrived_mono; /* when the receiver handed it over */
    wb_verb kind;
    bool *flooding; /* the worker's: a bucket was empty; set before the reply */
    void *verb;     /* the verb's own, from the arena */
    /* Set before the submit, or NULL: hears the commit's status before the reply is sent. What counts or
     * says that something happened belongs here, not into `prepare`. */
    void (*ended)(struct wb_request *r, wb_status status, const wb_error *err);
    char ref[WB_REF_HEX + 1]; /* of a refusal, for the reply */
    wb_buffer spans; /* a WB_ENTRY_SPANS payload on its way to the journal; freed by the reply */
} wb_request;

/** Send r->reply with `status`; `detail` (may be NULL) is copied. The request is gone after it. */
void wb_request_reply(wb_request *r, wb_status status, const char *detail);

/** Hand the request's transaction to the writer; `prepare` finds the request by wb_request_of. Its
 *  `done` is wb_request_reply with the commit's status. */
void wb_request_submit(wb_request *r,
                       wb_status (*prepare)(wb_txn *, wb_state *, wb_txn_entries *, wb_error *));
static inline wb_request *wb_request_of(wb_txn *txn) { return (wb_request *)(void *)txn; }

/** Say, count and keep a refusal of this request, and put its ref into the reply (sidecar/refusals.h). The
 *  slices of `refusal` are borrowed for the call. */
void wb_request_refuse(wb_request *r, wb_refusal *refusal);

/** A 16-byte id field; false if it has another length. */
bool wb_request_id(const struct ProtobufCBinaryData *field, wb_id *out);
/** A bytes field over `len` bytes that stay the caller's. */
struct ProtobufCBinaryData wb_request_bytes(const void *bytes, size_t len);
/** Pack `row` (any protobuf-c message) into the arena. */
WB_MUST_USE wb_status wb_request_pack(wb_arena *arena, const void *row, wb_slice *out,
                                      wb_error *err);

/** Mask secrets in the texts of the request that are no ids, as redact.secrets wants it. False: no memory. */
WB_MUST_USE bool wb_request_mask_texts(wb_request *r);

/* The verbs. Each ends in exactly one wb_request_reply or wb_request_submit. */
void wb_on_hello(wb_request *r);
void wb_on_record(wb_request *r);
void wb_on_delegate(wb_request *r);
void wb_on_observe(wb_request *r);
void wb_on_accept(wb_request *r);
void wb_on_finish(wb_request *r);
void wb_on_settle(wb_request *r);
void wb_on_status(wb_request *r);
void wb_on_reload(wb_request *r);
void wb_on_forget(wb_request *r);

#endif
