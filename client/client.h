/* SPDX-License-Identifier: Apache-2.0 */
/* client/client.h: what the files of libwaybill share of a client. Private to client/. */
#ifndef WAYBILL_CLIENT_CLIENT_H
#define WAYBILL_CLIENT_CLIENT_H

#include "client/link.h"
#include "client/recorder.h"
#include "core/ids.h"
#include "include/waybill/waybill.h"

#include <stdatomic.h>

enum {
    WB_CALL_MS = 1000,           /* what the agent waits for Delegate and Accept */
    WB_BREAKER_MS = 5000,        /* then it does not wait at all */
    WB_TELL_MS = 10 * 60 * 1000, /* how long Observe, Settle, Finish are tried */
    WB_TELL_WAIT_MS = 1000,      /* what the agent waits for them */
    WB_FINISH_WAIT_MS = 3000,    /* the sidecar waits for open spans */
    WB_ID_LEN = 16,
    WB_TRACE_FLAGS_NEW = 0x03, /* sampled, random: W3C Trace Context level 2 */
};

struct waybill_client {
    wb_link *link;
    wb_recorder *recorder;
    uint32_t generation; /* of forks, when it was opened */
    bool pass_duplicates;
    waybill_on_unavailable on_unavailable;
    char name[65];
    _Atomic uint64_t breaker_mono; /* until then nothing is asked */
    _Atomic uint64_t unsigned_delegations, unverified_acceptances, unconfirmed;
    atomic_bool enforces, fails; /* as the sidecar last said */
    _Atomic uint64_t span_ids;   /* see wb_client_span_id */
    _Atomic uint64_t anchor_mono, anchor_ns;
};

/** False: this is a forked child of whoever opened the client. */
bool wb_client_is_ours(const waybill_client *client);
/** An id that this client has not given out before. */
void wb_client_span_id(waybill_client *client, uint8_t out[8]);
/** Unix time at a monotonic time of now. */
uint64_t wb_client_wall(waybill_client *client, uint64_t mono);

/** Fill `err` from what the link said, and the wire class and ref of a reply that may be NULL. */
waybill_status wb_client_fail(waybill_error *err, const wb_error *why,
                              const struct Waybill__V1__Reply *reply);
waybill_status wb_client_say(waybill_error *err, waybill_status status, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

/** A call that the agent waits for.
 *  reply  as wb_call_wait gives it; NULL when no answer came
 *  asked  whether the sidecar may have seen the request */
WB_MUST_USE wb_status wb_client_ask(waybill_client *client, struct Waybill__V1__Request *request,
                                    struct Waybill__V1__Reply **reply, bool *asked, wb_error *err);
/** Something that the sidecar must learn, now or when it is back. */
waybill_status wb_client_tell(waybill_client *client, struct Waybill__V1__Request *request,
                              uint32_t wait_ms, waybill_error *err);
/** Whether the agent may go on without its sidecar, which was just found missing. */
bool wb_client_goes_on(waybill_client *client, bool accepting);

/* Values of an unpacked request that point at what the caller brought. Texts are never NULL, as protobuf-c
 * wants them; bytes that are NULL, and ids that are all 0, are absent. Macros, for files that include the
 * generated header. */
static inline char *wb_text(const char *text) { return (char *)(text ? text : ""); }
static inline size_t wb_len_of(const void *bytes, size_t len) { return bytes ? len : 0; }
static inline size_t wb_id_len_of(const void *id, size_t len)
{
    return wb_id_is_zero(id, len) ? 0 : len;
}
#define wb_bytes(bytes_, len_)                                                                     \
    ((ProtobufCBinaryData){.len = wb_len_of(bytes_, len_), .data = (uint8_t *)(bytes_)})
#define wb_id_bytes(id_, len_)                                                                     \
    ((ProtobufCBinaryData){.len = wb_id_len_of(id_, len_), .data = (uint8_t *)(id_)})

/* What of `given` its caller's version has; NULL: nothing. */
waybill_seen wb_seen_of(const waybill_seen *given);
/** A context that the sidecar made, with the flags of its traceparent. */
waybill_context wb_context_of(const uint8_t trace_id[16], const uint8_t span_id[8],
                              const char *traceparent, const char *tracestate);

/* Where a result's texts are kept: one allocation, the result in front. */
typedef struct wb_shelf {
    char *at, *end;
} wb_shelf;
/** Copy a text onto the shelf, which has room for it; NULL becomes "". */
const char *wb_shelf_put(wb_shelf *shelf, const char *text);
static inline size_t wb_shelf_room(const char *text) { return (text ? strlen(text) : 0) + 1; }

#endif
