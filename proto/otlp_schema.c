/* SPDX-License-Identifier: Apache-2.0 */
/* One array a message, indexed by field number, so that a reader of protobuf looks a field up by its
 * number and one of JSON goes through few names. Fields of other signals (key_strindex,
 * string_value_strindex: profiles) are not here: they read as unknown ones. */
#include "proto/otlp_schema.h"

#define NAMED(text) .name = (text), .name_len = sizeof(text) - 1
#define SCALAR(text, k)                                                                            \
    {                                                                                              \
        NAMED(text), .kind = WB_FIELD_##k                                                          \
    }
#define LIST(text, k)                                                                              \
    {                                                                                              \
        NAMED(text), .kind = WB_FIELD_##k, .repeated = true                                        \
    }
#define OPTIONAL(text, k)                                                                          \
    {                                                                                              \
        NAMED(text), .kind = WB_FIELD_##k, .present = true                                         \
    }
#define CHOICE(text, k)                                                                            \
    {                                                                                              \
        NAMED(text), .kind = WB_FIELD_##k, .present = true, .oneof = true                          \
    }
#define ONE(text, m)                                                                               \
    {                                                                                              \
        NAMED(text), .kind = WB_FIELD_MESSAGE, .present = true, .message = &(m)                    \
    }
#define MANY(text, m)                                                                              \
    {                                                                                              \
        NAMED(text), .kind = WB_FIELD_MESSAGE, .repeated = true, .message = &(m)                   \
    }
#define CHOICE_OF(text, m)                                                                         \
    {                                                                                              \
        NAMED(text), .kind = WB_FIELD_MESSAGE, .present = true, .oneof = true, .message = &(m)     \
    }

#define MESSAGE(table, r)                                                                          \
    {                                                                                              \
        (table), sizeof(table) / sizeof((table)[0]), WB_MESSAGE_##r                                \
    }

/* ---- common.proto, resource.proto ------------------------------------------------------------ */

static const wb_otlp_message any_value, array_value, key_value_list, key_value;

static const wb_otlp_field any_value_fields[] = {
    [1] = CHOICE("stringValue", TEXT),
    [2] = CHOICE("boolValue", BOOL),
    [3] = CHOICE("intValue", INT64),
    [4] = CHOICE("doubleValue", DOUBLE),
    [5] = CHOICE_OF("arrayValue", array_value),
    [6] = CHOICE_OF("kvlistValue", key_value_list),
    [7] = CHOICE("bytesValue", BYTES),
};
static const wb_otlp_field array_value_fields[] = {[1] = MANY("values", any_value)};
static const wb_otlp_field key_value_list_fields[] = {[1] = MANY("values", key_value)};
static const wb_otlp_field key_value_fields[] = {
    [1] = SCALAR("key", TEXT),
    [2] = ONE("value", any_value),
};
static const wb_otlp_message any_value = MESSAGE(any_value_fields, VALUE);
static const wb_otlp_message array_value = MESSAGE(array_value_fields, PLAIN);
static const wb_otlp_message key_value_list = MESSAGE(key_value_list_fields, PLAIN);
static const wb_otlp_message key_value = MESSAGE(key_value_fields, ATTRIBUTE);

static const wb_otlp_field entity_ref_fields[] = {
    [1] = SCALAR("schemaUrl", TEXT),
    [2] = SCALAR("type", TEXT),
    [3] = LIST("idKeys", TEXT),
    [4] = LIST("descriptionKeys", TEXT),
};
const wb_otlp_message wb_otlp_entity_ref = MESSAGE(entity_ref_fields, PLAIN);

static const wb_otlp_field resource_fields[] = {
    [1] = MANY("attributes", key_value),
    [2] = SCALAR("droppedAttributesCount", UINT32),
    [3] = MANY("entityRefs", wb_otlp_entity_ref),
};
const wb_otlp_message wb_otlp_resource = MESSAGE(resource_fields, PLAIN);

static const wb_otlp_field scope_fields[] = {
    [1] = SCALAR("name", TEXT),
    [2] = SCALAR("version", TEXT),
    [3] = MANY("attributes", key_value),
    [4] = SCALAR("droppedAttributesCount", UINT32),
};
const wb_otlp_message wb_otlp_scope = MESSAGE(scope_fields, PLAIN);

/* ---- trace.proto ----------------------------------------------------------------------------- */

static const wb_otlp_field event_fields[] = {
    [1] = SCALAR("timeUnixNano", FIXED64),
    [2] = SCALAR("name", TEXT),
    [3] = MANY("attributes", key_value),
    [4] = SCALAR("droppedAttributesCount", UINT32),
};
static const wb_otlp_message event = MESSAGE(event_fields, PLAIN);

static const wb_otlp_field link_fields[] = {
    [1] = SCALAR("traceId", TRACE_ID),
    [2] = SCALAR("spanId", SPAN_ID),
    [3] = SCALAR("traceState", TEXT),
    [4] = MANY("attributes", key_value),
    [5] = SCALAR("droppedAttributesCount", UINT32),
    [6] = SCALAR("flags", FIXED32),
};
static const wb_otlp_message span_link = MESSAGE(link_fields, PLAIN);

static const wb_otlp_field status_fields[] = {
    [2] = SCALAR("message", TEXT),
    [3] = SCALAR("code", ENUM),
};
static const wb_otlp_message status = MESSAGE(status_fields, PLAIN);

static const wb_otlp_field span_fields[] = {
    [1] = SCALAR("traceId", TRACE_ID),
    [2] = SCALAR("spanId", SPAN_ID),
    [3] = SCALAR("traceState", TEXT),
    [4] = SCALAR("parentSpanId", SPAN_ID),
    [5] = SCALAR("name", TEXT),
    [6] = SCALAR("kind", ENUM),
    [7] = SCALAR("startTimeUnixNano", FIXED64),
    [8] = SCALAR("endTimeUnixNano", FIXED64),
    [9] = MANY("attributes", key_value),
    [10] = SCALAR("droppedAttributesCount", UINT32),
    [11] = MANY("events", event),
    [12] = SCALAR("droppedEventsCount", UINT32),
    [13] = MANY("links", span_link),
    [14] = SCALAR("droppedLinksCount", UINT32),
    [15] = ONE("status", status),
    [16] = SCALAR("flags", FIXED32),
};
const wb_otlp_message wb_otlp_span = MESSAGE(span_fields, ITEM);

static const wb_otlp_field scope_spans_fields[] = {
    [1] = ONE("scope", wb_otlp_scope),
    [2] = MANY("spans", wb_otlp_span),
    [3] = SCALAR("schemaUrl", TEXT),
};
static const wb_otlp_message scope_spans = MESSAGE(scope_spans_fields, OUTER);

static const wb_otlp_field resource_spans_fields[] = {
    [1] = ONE("resource", wb_otlp_resource),
    [2] = MANY("scopeSpans", scope_spans),
    [3] = SCALAR("schemaUrl", TEXT),
};
static const wb_otlp_message resource_spans = MESSAGE(resource_spans_fields, OUTER);

static const wb_otlp_field trace_request_fields[] = {[1] = MANY("resourceSpans", resource_spans)};
static const wb_otlp_message trace_request = MESSAGE(trace_request_fields, OUTER);

/* ---- logs.proto ------------------------------------------------------------------------------ */

static const wb_otlp_field log_record_fields[] = {
    [1] = SCALAR("timeUnixNano", FIXED64), [2] = SCALAR("severityNumber", ENUM),
    [3] = SCALAR("severityText", TEXT),    [5] = ONE("body", any_value),
    [6] = MANY("attributes", key_value),   [7] = SCALAR("droppedAttributesCount", UINT32),
    [8] = SCALAR("flags", FIXED32),        [9] = SCALAR("traceId", TRACE_ID),
    [10] = SCALAR("spanId", SPAN_ID),      [11] = SCALAR("observedTimeUnixNano", FIXED64),
    [12] = SCALAR("eventName", TEXT),
};
static const wb_otlp_message log_record = MESSAGE(log_record_fields, ITEM);

static const wb_otlp_field scope_logs_fields[] = {
    [1] = ONE("scope", wb_otlp_scope),
    [2] = MANY("logRecords", log_record),
    [3] = SCALAR("schemaUrl", TEXT),
};
static const wb_otlp_message scope_logs = MESSAGE(scope_logs_fields, OUTER);

static const wb_otlp_field resource_logs_fields[] = {
    [1] = ONE("resource", wb_otlp_resource),
    [2] = MANY("scopeLogs", scope_logs),
    [3] = SCALAR("schemaUrl", TEXT),
};
static const wb_otlp_message resource_logs = MESSAGE(resource_logs_fields, OUTER);

static const wb_otlp_field logs_request_fields[] = {[1] = MANY("resourceLogs", resource_logs)};
static const wb_otlp_message logs_request = MESSAGE(logs_request_fields, OUTER);

/* ---- metrics.proto --------------------------------------------------------------------------- */

static const wb_otlp_field exemplar_fields[] = {
    [2] = SCALAR("timeUnixNano", FIXED64), [3] = CHOICE("asDouble", DOUBLE),
    [4] = SCALAR("spanId", SPAN_ID),       [5] = SCALAR("traceId", TRACE_ID),
    [6] = CHOICE("asInt", SFIXED64),       [7] = MANY("filteredAttributes", key_value),
};
static const wb_otlp_message exemplar = MESSAGE(exemplar_fields, PLAIN);

static const wb_otlp_field number_point_fields[] = {
    [2] = SCALAR("startTimeUnixNano", FIXED64),
    [3] = SCALAR("timeUnixNano", FIXED64),
    [4] = CHOICE("asDouble", DOUBLE),
    [5] = MANY("exemplars", exemplar),
    [6] = CHOICE("asInt", SFIXED64),
    [7] = MANY("attributes", key_value),
    [8] = SCALAR("flags", UINT32),
};
static const wb_otlp_message number_point = MESSAGE(number_point_fields, POINT);

static const wb_otlp_field histogram_point_fields[] = {
    [2] = SCALAR("startTimeUnixNano", FIXED64),
    [3] = SCALAR("timeUnixNano", FIXED64),
    [4] = SCALAR("count", FIXED64),
    [5] = OPTIONAL("sum", DOUBLE),
    [6] = LIST("bucketCounts", FIXED64),
    [7] = LIST("explicitBounds", DOUBLE),
    [8] = MANY("exemplars", exemplar),
    [9] = MANY("attributes", key_value),
    [10] = SCALAR("flags", UINT32),
    [11] = OPTIONAL("min", DOUBLE),
    [12] = OPTIONAL("max", DOUBLE),
};
static const wb_otlp_message histogram_point = MESSAGE(histogram_point_fields, POINT);

static const wb_otlp_field buckets_fields[] = {
    [1] = SCALAR("offset", SINT32),
    [2] = LIST("bucketCounts", UINT64),
};
static const wb_otlp_message buckets = MESSAGE(buckets_fields, PLAIN);

static const wb_otlp_field exponential_point_fields[] = {
    [1] = MANY("attributes", key_value),   [2] = SCALAR("startTimeUnixNano", FIXED64),
    [3] = SCALAR("timeUnixNano", FIXED64), [4] = SCALAR("count", FIXED64),
    [5] = OPTIONAL("sum", DOUBLE),         [6] = SCALAR("scale", SINT32),
    [7] = SCALAR("zeroCount", FIXED64),    [8] = ONE("positive", buckets),
    [9] = ONE("negative", buckets),        [10] = SCALAR("flags", UINT32),
    [11] = MANY("exemplars", exemplar),    [12] = OPTIONAL("min", DOUBLE),
    [13] = OPTIONAL("max", DOUBLE),        [14] = SCALAR("zeroThreshold", DOUBLE),
};
static const wb_otlp_message exponential_point = MESSAGE(exponential_point_fields, POINT);

static const wb_otlp_field quantile_fields[] = {
    [1] = SCALAR("quantile", DOUBLE),
    [2] = SCALAR("value", DOUBLE),
};
static const wb_otlp_message quantile = MESSAGE(quantile_fields, PLAIN);

static const wb_otlp_field summary_point_fields[] = {
    [2] = SCALAR("startTimeUnixNano", FIXED64),
    [3] = SCALAR("timeUnixNano", FIXED64),
    [4] = SCALAR("count", FIXED64),
    [5] = SCALAR("sum", DOUBLE),
    [6] = MANY("quantileValues", quantile),
    [7] = MANY("attributes", key_value),
    [8] = SCALAR("flags", UINT32),
};
static const wb_otlp_message summary_point = MESSAGE(summary_point_fields, POINT);

static const wb_otlp_field gauge_fields[] = {[1] = MANY("dataPoints", number_point)};
static const wb_otlp_message gauge = MESSAGE(gauge_fields, PLAIN);

static const wb_otlp_field sum_fields[] = {
    [1] = MANY("dataPoints", number_point),
    [2] = SCALAR("aggregationTemporality", ENUM),
    [3] = SCALAR("isMonotonic", BOOL),
};
static const wb_otlp_message sum = MESSAGE(sum_fields, PLAIN);

static const wb_otlp_field histogram_fields[] = {
    [1] = MANY("dataPoints", histogram_point),
    [2] = SCALAR("aggregationTemporality", ENUM),
};
static const wb_otlp_message histogram = MESSAGE(histogram_fields, PLAIN);

static const wb_otlp_field exponential_fields[] = {
    [1] = MANY("dataPoints", exponential_point),
    [2] = SCALAR("aggregationTemporality", ENUM),
};
static const wb_otlp_message exponential = MESSAGE(exponential_fields, PLAIN);

static const wb_otlp_field summary_fields[] = {[1] = MANY("dataPoints", summary_point)};
static const wb_otlp_message summary = MESSAGE(summary_fields, PLAIN);

static const wb_otlp_field metric_fields[] = {
    [1] = SCALAR("name", TEXT),
    [2] = SCALAR("description", TEXT),
    [3] = SCALAR("unit", TEXT),
    [5] = CHOICE_OF("gauge", gauge),
    [7] = CHOICE_OF("sum", sum),
    [9] = CHOICE_OF("histogram", histogram),
    [10] = CHOICE_OF("exponentialHistogram", exponential),
    [11] = CHOICE_OF("summary", summary),
    [12] = MANY("metadata", key_value),
};
const wb_otlp_message wb_otlp_metric = MESSAGE(metric_fields, ITEM);

static const wb_otlp_field scope_metrics_fields[] = {
    [1] = ONE("scope", wb_otlp_scope),
    [2] = MANY("metrics", wb_otlp_metric),
    [3] = SCALAR("schemaUrl", TEXT),
};
static const wb_otlp_message scope_metrics = MESSAGE(scope_metrics_fields, OUTER);

static const wb_otlp_field resource_metrics_fields[] = {
    [1] = ONE("resource", wb_otlp_resource),
    [2] = MANY("scopeMetrics", scope_metrics),
    [3] = SCALAR("schemaUrl", TEXT),
};
static const wb_otlp_message resource_metrics = MESSAGE(resource_metrics_fields, OUTER);

static const wb_otlp_field metrics_request_fields[] = {
    [1] = MANY("resourceMetrics", resource_metrics)};
static const wb_otlp_message metrics_request = MESSAGE(metrics_request_fields, OUTER);

const wb_otlp_message *const wb_otlp_requests[WB_SIGNALS] = {
    [WB_SIGNAL_TRACES] = &trace_request,
    [WB_SIGNAL_METRICS] = &metrics_request,
    [WB_SIGNAL_LOGS] = &logs_request,
};
