/* SPDX-License-Identifier: Apache-2.0 */
/* client/link.h: the one connection of a client to its sidecar, and the calls on it.
 *
 * A call is one Request that is sent until it is answered or its time is over: it is sent again, with
 * the same id inside, on a new connection, and when the sidecar says FULL, UNAVAILABLE or TIMEOUT.
 * Any thread may make calls. */
#ifndef WAYBILL_CLIENT_LINK_H
#define WAYBILL_CLIENT_LINK_H

#include "core/slice.h"
#include "core/status.h"

struct Waybill__V1__Request; /* protobuf-c's, proto/waybill/v1/ipc.proto */
struct Waybill__V1__Reply;

typedef struct wb_link wb_link;
typedef struct wb_call wb_call;

enum {
    WB_LINK_CALLS_MAX = 4096,             /* without their answer, at once */
    WB_LINK_BYTES_MAX = 16 * 1024 * 1024, /* of their requests */
    WB_LINK_REPLY_MAX = 4 * 1024 * 1024,
};

/** Begin to connect, and go on for ever, to the socket at `path`.
 *  on_connected  on one of nng's threads, each time that the sidecar is there, and maybe before this returns; must not
 *                block. May be NULL
 *  Errors        CONFIG the path is too long for a socket | NO_MEMORY */
WB_MUST_USE wb_status wb_link_open(const char *path, void (*on_connected)(void *ctx, wb_link *link),
                                   void *ctx, wb_link **out, wb_error *err);
/** End every call with UNAVAILABLE, and those to come; whoever waits for one is woken. */
void wb_link_stop(wb_link *link);
/** Free a link that was stopped, when nobody waits for a call of it any more. NULL is allowed. */
void wb_link_free(wb_link *link);

bool wb_link_is_connected(wb_link *link);
/** Whether no call is without its answer. */
bool wb_link_is_idle(wb_link *link);

/** Hand a request over; its id and protocol are filled in, and nothing of it is kept.
 *  timeout_ms  after which it ends as UNAVAILABLE
 *  Errors      UNAVAILABLE too many wait | NO_MEMORY */
WB_MUST_USE wb_status wb_call_begin(wb_link *link, struct Waybill__V1__Request *request,
                                    uint32_t timeout_ms, wb_call **out, wb_error *err);

/** Wait for the answer, at most for `wait_ms`. Consumes the call; what has no answer by then goes on by itself.
 *  reply    owned by the caller, also with a status other than OK: wb_reply_free. Its status is what this
 *           returns, with FULL, UNAVAILABLE and TIMEOUT only if the time was over
 *  Errors   UNAVAILABLE no answer in time, no sidecar: *reply is NULL
 *           MALFORMED what answers is no sidecar: *reply is NULL | NO_MEMORY | the reply's status */
WB_MUST_USE wb_status wb_call_wait(wb_call **handle, uint32_t wait_ms,
                                   struct Waybill__V1__Reply **reply, wb_error *err);
/** Hand a request over that nobody waits for.
 *  on_reply  its answer, of any status; on one of nng's threads, under the link's lock: it must not block, nor
 *            call the link. Not called when there is none in time. May be NULL */
WB_MUST_USE wb_status wb_call_post(
    wb_link *link, struct Waybill__V1__Request *request, uint32_t timeout_ms,
    void (*on_reply)(void *arg, const struct Waybill__V1__Reply *reply), void *arg, wb_error *err);
/** Do not wait: it goes on by itself. */
void wb_call_leave(wb_call **handle);

void wb_reply_free(struct Waybill__V1__Reply *reply);

#endif
