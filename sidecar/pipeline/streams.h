/* SPDX-License-Identifier: Apache-2.0 */
/* sidecar/pipeline/streams.h: which metrics spans become, with OpenTelemetry's names, units and buckets.
 *
 * A stream is a metric, or that part of one whose series have one fixed attribute in common (gen_ai.token.type:
 * input). Streams of one metric stand next to each other. Constant; any thread may read.
 * Source: OpenTelemetry's conventions 1.41.1, gen-ai-metrics.md; what came behind them, semantic-conventions-genai,
 * client-inference.md, gen-ai-token-metrics.md. docs/metrics.md */
#ifndef WAYBILL_SIDECAR_PIPELINE_STREAMS_H
#define WAYBILL_SIDECAR_PIPELINE_STREAMS_H

#include "core/histogram.h"
#include "core/slice.h"

/* What is measured of a span depends on what it is. */
typedef enum wb_measured_kind {
    WB_MEASURED_NONE,
    WB_MEASURED_MODEL,     /* a model generates */
    WB_MEASURED_EMBEDDING, /* a model embeds */
    WB_MEASURED_CLIENT,    /* something else that a client asks for: retrieval, create_agent */
    WB_MEASURED_TOOL,
    WB_MEASURED_AGENT,
    WB_MEASURED_WORKFLOW,
    WB_MEASURED_KINDS
} wb_measured_kind;

/* Attributes of series. All are text but the last, which is a number. */
typedef enum wb_series_label {
    WB_LABEL_OPERATION,
    WB_LABEL_PROVIDER,
    WB_LABEL_REQUEST_MODEL,
    WB_LABEL_RESPONSE_MODEL,
    WB_LABEL_AGENT,
    WB_LABEL_WORKFLOW,
    WB_LABEL_TOOL,
    WB_LABEL_TOOL_TYPE,
    WB_LABEL_ERROR_TYPE,
    WB_LABEL_SERVER_ADDRESS,
    WB_LABEL_SERVER_PORT,
    WB_LABELS
} wb_series_label;

typedef enum wb_quantity {
    WB_OF_DURATION,    /* ns */
    WB_OF_FIRST_CHUNK, /* ns */
    WB_OF_INPUT,       /* tokens: with those that a cache had */
    WB_OF_OUTPUT,      /* with reasoning */
    WB_OF_CACHE_READ,
    WB_OF_CACHE_WRITE,
    WB_OF_REASONING,
    WB_QUANTITIES,
    WB_OF_SUCCESS =
        WB_QUANTITIES, /* 1; 0 of a span that has the next, too: so that there is something to divide by */
    WB_OF_FAILURE, /* 1 */
} wb_quantity;

/* By which names metrics go; bits. */
enum { WB_NAMES_V1_41 = 1, WB_NAMES_LATEST = 2 };

typedef struct wb_stream {
    const char *name, *unit, *description;
    const wb_bounds *bounds; /* of a histogram; NULL: a counter */
    uint32_t labels;         /* bits of what its series have beside the fixed one */
    uint8_t of;              /* wb_quantity */
    uint8_t kinds[2]; /* bits of the spans that are in it, by the names of 1.41 and by the latest */
    const char *fixed_key, *fixed_value; /* NULL: none */
} wb_stream;

enum { WB_STREAMS = 18 };
extern const wb_stream wb_streams[WB_STREAMS];

/** Bits of the streams that a span of that kind goes to. */
uint32_t wb_streams_of(wb_measured_kind kind, unsigned names);

/** The first stream of the same metric. */
size_t wb_stream_first(size_t stream);

/** "gen_ai.operation.name" ... */
const char *wb_series_label_key(wb_series_label label);

#endif
