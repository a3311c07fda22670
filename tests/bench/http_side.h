/* SPDX-License-Identifier: Apache-2.0 */
/* tests/bench/http_side.h: both ends of an OTLP/HTTP forwarder, as threads of the bench: what sends, and
 * what is sent to. Neither costs much beside the forwarder, and neither is part of a figure. */
#ifndef WAYBILL_TESTS_BENCH_HTTP_SIDE_H
#define WAYBILL_TESTS_BENCH_HTTP_SIDE_H

#include "core/slice.h"

/** A backend: takes every POST, counts the spans in its body, answers 200. */
typedef struct wb_http_sink wb_http_sink;

wb_http_sink *wb_http_sink_start(void);
uint16_t wb_http_sink_port(const wb_http_sink *sink);
uint64_t wb_http_sink_spans(wb_http_sink *sink);
uint64_t wb_http_sink_requests(wb_http_sink *sink);
void wb_http_sink_stop(wb_http_sink *sink);

typedef struct wb_http_load {
    uint16_t port; /* POST /v1/traces there */
    const char *content_type;
    const wb_slice *bodies; /* sent in turns */
    size_t n;
    uint32_t connections; /* one request in flight on each */
    double seconds;
} wb_http_load;

/** Run to its end; requests that were answered with 200. Gives up on any other answer but 429 and 503, after
 *  which it waits a little and sends the same again. */
uint64_t wb_http_load_run(const wb_http_load *load);

/** The same over gRPC; content_type is not looked at. */
uint64_t wb_grpc_load_run(const wb_http_load *load);

/** Wait until something listens there, at most 30 s; gives up else. */
void wb_http_wait_port(uint16_t port);

#endif
