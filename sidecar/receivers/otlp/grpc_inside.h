/* SPDX-License-Identifier: Apache-2.0 */
/* sidecar/receivers/otlp/grpc_inside.h: what the files of the gRPC receiver share: the receiver with its
 * loop (grpc.c), its connections (grpc_connection.c), their HTTP/2 (grpc_session.c) and requests (grpc_call.c). All of it is the
 * loop's thread's, but for what says otherwise. */
#ifndef WAYBILL_SIDECAR_RECEIVERS_OTLP_GRPC_INSIDE_H
#define WAYBILL_SIDECAR_RECEIVERS_OTLP_GRPC_INSIDE_H

#include "core/buffer.h"
#include "sidecar/receivers/otlp/grpc.h"
#include "sidecar/receivers/otlp/grpc_answer.h"
#include "sidecar/receivers/otlp/grpc_head.h"
#include "sidecar/receivers/otlp/grpc_message.h"
#include "sidecar/receivers/otlp/grpc_tls.h"
#include "sidecar/receivers/otlp/inflate.h"
#include "sidecar/receivers/otlp/peers.h"

#include <pthread.h>
#include <stdatomic.h>

typedef struct wb_grpc_call wb_grpc_call;
typedef struct wb_grpc_connection wb_grpc_connection;

/* ---- a request ---- */

typedef enum wb_grpc_phase {
    WB_GRPC_HEAD,     /* its header fields arrive */
    WB_GRPC_BODY,     /* its message arrives */
    WB_GRPC_IN_SINK,  /* until the sink's answer is taken from the list */
    WB_GRPC_ANSWERED, /* its answer is with the HTTP/2 library, until the stream closes */
} wb_grpc_phase;

struct wb_grpc_call {
    wb_export export;
    wb_otlp_grpc *grpc;
    wb_grpc_connection *from;  /* NULL: that is gone */
    wb_grpc_call *prev, *next; /* of the connection's; next also of the free ones */
    wb_grpc_call *next_answered;
    int32_t stream; /* 0: nobody waits for it any more */
    wb_grpc_phase phase;
    wb_grpc_head head;
    bool is_own;               /* of an exporter of this process */
    bool is_browsers;          /* it has an Origin: by whose process it came means nothing */
    bool has_bearer;           /* the next two were asked for */
    wb_otlp_caller by_bearer;  /* by its authorization field alone, */
    wb_otlp_caller by_anybody; /* or also by whose process its connection is */
    wb_grpc_message message;
    wb_inflated inflated;
    uint64_t began_ns, progress_ns; /* monotonic */
    uint64_t deadline_ns;           /* grpc-timeout; 0: none */
    wb_status said;                 /* by whoever answers, as is: */
    wb_grpc_answer answer;
    size_t sent; /* of answer.reply */
};

/** A request begins on `stream`; NULL: too many, or no memory. */
WB_MUST_USE wb_grpc_call *wb_grpc_call_new(wb_grpc_connection *from, int32_t stream);
void wb_grpc_call_field(wb_grpc_call *call, wb_slice name, wb_slice value);
/** Its header fields are complete. */
void wb_grpc_call_headed(wb_grpc_call *call);
void wb_grpc_call_chunk(wb_grpc_call *call, wb_slice chunk);
/** Its body has ended: it goes to the sink. */
void wb_grpc_call_complete(wb_grpc_call *call);
/** Answer it ourselves, whatever its phase. */
void wb_grpc_call_refuse(wb_grpc_call *call, const wb_grpc_refusal *refusal);
/** The sink's answer is there: pass it on if somebody waits for it. */
void wb_grpc_call_answered(wb_grpc_call *call);
/** Its stream is closed: it goes now, or when the sink has answered. */
void wb_grpc_call_leave(wb_grpc_call *call);
/** Its connection is gone: the same. */
void wb_grpc_call_forsake(wb_grpc_call *call);
/** What time does to it at `now`; returns when to look again. */
uint64_t wb_grpc_call_tick(wb_grpc_call *call, uint64_t now);
/** The free ones, at the end. */
void wb_grpc_calls_free(wb_otlp_grpc *grpc);

/* ---- a connection ---- */

typedef enum wb_grpc_drain {
    WB_GRPC_SERVING,
    WB_GRPC_NOTICED, /* told that we will close; what is under way to us is served */
    WB_GRPC_LAST,    /* told which request is the last */
    WB_GRPC_ENDED,   /* all is written, the far side's end is awaited */
} wb_grpc_drain;

struct wb_grpc_connection {
    wb_otlp_grpc *grpc;
    wb_grpc_connection *prev, *next; /* next also of the dead ones */
    wb_grpc_io io;
    struct nghttp2_session *session;
    wb_otlp_visitor *visitor;
    wb_grpc_call *calls;
    uint32_t n_calls; /* those that left and are in the sink, too */
    bool dead;        /* freed at the end of the loop's turn */
    bool greeted;     /* the preface and SETTINGS came */
    bool wants_flush; /* is in the loop's list */
    wb_grpc_connection *next_flush;
    uint32_t events; /* that epoll watches */
    wb_grpc_drain drain;
    const char *fault; /* why it is being closed; static */
    wb_buffer out;     /* what the socket did not take */
    size_t out_at;
    uint64_t opened_ns;
    uint64_t active_ns;  /* something was read, or a request ended */
    uint64_t blocked_ns; /* `out` is not empty since; 0: it is */
    uint64_t drain_ns;   /* the step of draining began */
    uint64_t odd_ns;     /* odd frames: a bucket that refills, counted up to here */
    uint32_t odd_left;
};

/** Takes `fd` and, if there is one, `visitor`. */
void wb_grpc_connection_open(wb_otlp_grpc *grpc, int fd, wb_otlp_visitor *visitor);
void wb_grpc_connection_readable(wb_grpc_connection *c);
void wb_grpc_connection_flush(wb_grpc_connection *c);
/** Flush before the loop sleeps. */
void wb_grpc_connection_flush_soon(wb_grpc_connection *c);
void wb_grpc_connection_drain(wb_grpc_connection *c);
/** Mark it dead and let go of its requests; not from within the HTTP/2 library. why: may be NULL */
void wb_grpc_connection_cut(wb_grpc_connection *c, const char *why);
uint64_t wb_grpc_connection_tick(wb_grpc_connection *c, uint64_t now);
void wb_grpc_connection_free(wb_grpc_connection *c);

/* ---- its HTTP/2 ---- */

/** Begin: our SETTINGS and windows. NO_MEMORY */
WB_MUST_USE wb_status wb_grpc_session_open(wb_grpc_connection *c);
/** Bytes of the client's. */
void wb_grpc_session_take(wb_grpc_connection *c, wb_slice bytes);
/** Hand an answer to the library: it stays in `call` until its stream closes. */
void wb_grpc_session_answer(wb_grpc_connection *c, wb_grpc_call *call);
/** Give a stream up. */
void wb_grpc_session_reset(wb_grpc_connection *c, int32_t stream);
/** The two steps of a drain; the second comes by itself if the client answers. */
void wb_grpc_session_notice(wb_grpc_connection *c);
void wb_grpc_session_last(wb_grpc_connection *c);

/* ---- the receiver ---- */

enum {
    WB_GRPC_IN_BYTES = 128 * 1024,
    WB_GRPC_OUT_BYTES = 32 * 1024,
    WB_GRPC_HEADER_BYTES = 16 * 1024, /* of one request, as SETTINGS_MAX_HEADER_LIST_SIZE counts */
};

struct wb_otlp_grpc {
    wb_otlp_grpc_options options;
    wb_grpc_tls *tls; /* NULL: plain */
    struct nghttp2_session_callbacks *callbacks;
    struct nghttp2_option *library;
    int epoll, wake;
    wb_grpc_connection *live, *dead, *to_flush;
    wb_otlp_peers *peers;
    wb_grpc_call *free_calls;
    uint32_t n_free;
    uint64_t next_tick_ns;    /* UINT64_MAX: nothing to wait for */
    uint64_t accept_again_ns; /* no descriptors were left; 0: accepting */
    bool draining;
    uint8_t *in;   /* WB_GRPC_IN_BYTES: what was just read */
    wb_buffer out; /* what is about to be written */

    pthread_mutex_t lock; /* of the rest of this block, and of the writes to `wake` */
    wb_grpc_call *first_answered, **last_answered;
    bool sleeping; /* the loop looks at none of this before `wake` is written to */
    bool stop_asked, close_asked;

    /* any thread reads */
    atomic_uint connections, in_sink;
    wb_otlp_counters counters;
};

/** The loop has to look at what is under the lock, which the caller holds. */
void wb_grpc_wake(wb_otlp_grpc *grpc);
/** What all connections' sessions have in common. NO_MEMORY */
WB_MUST_USE wb_status wb_grpc_library_open(wb_otlp_grpc *grpc);
void wb_grpc_library_close(wb_otlp_grpc *grpc);

/** Look at the clocks of connections and requests at `due_ns` at the latest. */
static inline void wb_grpc_tick_by(wb_otlp_grpc *grpc, uint64_t due_ns)
{
    if (due_ns < grpc->next_tick_ns) grpc->next_tick_ns = due_ns;
}

static inline uint64_t wb_grpc_now(const wb_otlp_grpc *grpc)
{
    return wb_mono(grpc->options.clock);
}

static inline void wb_grpc_count(atomic_ullong *counter)
{
    atomic_fetch_add_explicit(counter, 1, memory_order_relaxed);
}

#endif
