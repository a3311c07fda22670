/* SPDX-License-Identifier: Apache-2.0 */
/* sidecar/receivers/otlp/http_inside.h: what the files of the HTTP receiver share. Private to them. */
#ifndef WAYBILL_SIDECAR_RECEIVERS_OTLP_HTTP_INSIDE_H
#define WAYBILL_SIDECAR_RECEIVERS_OTLP_HTTP_INSIDE_H

#include "sidecar/receivers/otlp/answer.h"
#include "sidecar/receivers/otlp/body.h"
#include "sidecar/receivers/otlp/http.h"
#include "sidecar/receivers/otlp/peers.h"

#include <stdatomic.h>

struct MHD_Connection;
struct MHD_Daemon;
struct MHD_Response;

struct wb_otlp_http {
    wb_otlp_http_options options;
    struct MHD_Daemon *daemon;
    wb_otlp_peers *peers;
    struct MHD_Response *taken[2]; /* by wb_otlp_encoding: all of it was taken */
    wb_otlp_counters counters;
    atomic_uint in_hand, at_sink;
    atomic_bool stopping;
    int quiesced; /* the listening socket, once it listens no more */
};

/* A connection, as libmicrohttpd's socket context. */
typedef struct wb_http_link {
    wb_otlp_visitor *visitor;
    bool looked, certified; /* at its certificate */
} wb_http_link;

/* A request's faults: the first one counts. */
typedef struct wb_http_fault {
    unsigned code; /* 0: none yet */
    wb_otlp_refusal cause;
    const char *message; /* static, or in the request's `detail` */
    uint32_t retry_after_s;
} wb_http_fault;

typedef struct wb_http_request {
    wb_export export; /* first: the sink hands it back */
    wb_otlp_http *http;
    struct MHD_Connection *connection;
    wb_http_link *link;
    wb_otlp_encoding encoding;
    bool gzip, waits_for_leave; /* Expect: 100-continue */
    bool is_ambiguous;          /* where its body ends is not for sure: nothing behind it is read */
    wb_http_fault fault;
    wb_body body;
    wb_export_answer said;
    char detail[160];
    atomic_bool answered;
    bool at_sink;
} wb_http_request;

/** Read the head: what is asked for, by whom, in which encoding. Sets `fault`. */
void wb_http_read_head(wb_http_request *r, const char *path, const char *method);
/** A part of the body came. Sets `fault`; with one it is thrown away. */
void wb_http_add_bytes(wb_http_request *r, const void *bytes, size_t len);
/** The body is whole: undo gzip and JSON. Sets `fault`, or export.body. */
void wb_http_read_body(wb_http_request *r);
void wb_http_refuse(wb_http_request *r, unsigned code, wb_otlp_refusal cause, const char *message);

/** The answer where nothing is to be said; NULL: no memory. */
struct MHD_Response *wb_http_taken(wb_otlp_encoding encoding);
/** Queue the answer: the fault's, or the sink's. False: there is no memory for one. */
bool wb_http_reply(wb_http_request *r);

#endif
