/* SPDX-License-Identifier: Apache-2.0 */
/* Bounds are those that the conventions advise; dashboards of others are made for them. */
#include "sidecar/pipeline/streams.h"

#include "core/status.h"

#define MS UINT64_C(1000000)
#define S (1000 * MS)

static const wb_bounds call_time = {.n = 14,
                                    .at = {10 * MS, 20 * MS, 40 * MS, 80 * MS, 160 * MS, 320 * MS,
                                           640 * MS, 1280 * MS, 2560 * MS, 5120 * MS, 10240 * MS,
                                           20480 * MS, 40960 * MS, 81920 * MS}};
static const wb_bounds agent_time = {.n = 13,
                                     .at = {100 * MS, 200 * MS, 400 * MS, 800 * MS, 1600 * MS,
                                            3200 * MS, 6400 * MS, 12800 * MS, 25600 * MS,
                                            51200 * MS, 102400 * MS, 204800 * MS, 409600 * MS}};
static const wb_bounds workflow_time = {.n = 11,
                                        .at = {1 * S, 5 * S, 10 * S, 30 * S, 60 * S, 120 * S,
                                               300 * S, 600 * S, 1800 * S, 3600 * S, 7200 * S}};
static const wb_bounds tokens = {.n = 14,
                                 .unit = WB_BOUNDS_NUMBER,
                                 .at = {1, 4, 16, 64, 256, 1024, 4096, 16384, 65536, 262144,
                                        1048576, 4194304, 16777216, 67108864}};

#define LABEL(name) (UINT32_C(1) << WB_LABEL_##name)
#define KIND(name) (1U << WB_MEASURED_##name)

#define OF_CALL                                                                                    \
    (LABEL(OPERATION) | LABEL(PROVIDER) | LABEL(REQUEST_MODEL) | LABEL(RESPONSE_MODEL) |           \
     LABEL(SERVER_ADDRESS) | LABEL(SERVER_PORT))
#define OF_MODELS (KIND(MODEL) | KIND(EMBEDDING))

#define USAGE(word, quantity, text)                                                                \
    {                                                                                              \
        .name = "gen_ai.client.inference.usage." word, .unit = "{token}", .description = (text),   \
        .labels = OF_CALL, .of = WB_OF_##quantity, .kinds = {0, OF_MODELS},                        \
        .fixed_key = "gen_ai.token.modality", .fixed_value = "unknown"                             \
    }
#define TOKENS_OF_EACH(word, quantity, text)                                                       \
    {                                                                                              \
        .name = "gen_ai.client.inference.operation." word, .unit = "{token}",                      \
        .description = (text), .bounds = &tokens, .labels = OF_CALL | LABEL(ERROR_TYPE),           \
        .of = WB_OF_##quantity, .kinds = {                                                         \
            0,                                                                                     \
            OF_MODELS                                                                              \
        }                                                                                          \
    }
#define TOKEN_USAGE(type, quantity)                                                                \
    {                                                                                              \
        .name = "gen_ai.client.token.usage", .unit = "{token}",                                    \
        .description = "Tokens that a call used: input with what caches had, output with "         \
                       "reasoning.",                                                               \
        .bounds = &tokens, .labels = OF_CALL, .of = WB_OF_##quantity, .kinds = {OF_MODELS, 0},     \
        .fixed_key = "gen_ai.token.type", .fixed_value = (type)                                    \
    }
#define TIME(metric, text, bounds_of, its_labels, quantity, kinds_old, kinds_new)                  \
    {                                                                                              \
        .name = (metric), .unit = "s", .description = (text), .bounds = &(bounds_of),              \
        .labels = (its_labels), .of = WB_OF_##quantity, .kinds = {                                 \
            kinds_old,                                                                             \
            kinds_new                                                                              \
        }                                                                                          \
    }
#define OPERATIONS(outcome, its_labels, quantity)                                                  \
    {                                                                                              \
        .name = "waybill.agent.operations", .unit = "{operation}",                                 \
        .description = "Times that an agent was invoked, by whether it failed.",                   \
        .labels = (its_labels), .of = WB_OF_##quantity, .kinds = {KIND(AGENT), KIND(AGENT)},       \
        .fixed_key = "outcome", .fixed_value = (outcome)                                           \
    }

const wb_stream wb_streams[WB_STREAMS] = {
    TIME("gen_ai.client.operation.duration",
         "How long calls of models, embeddings, retrievals took.", call_time,
         OF_CALL | LABEL(ERROR_TYPE), DURATION, OF_MODELS | KIND(CLIENT),
         KIND(EMBEDDING) | KIND(CLIENT)),
    TOKEN_USAGE("input", INPUT),
    TOKEN_USAGE("output", OUTPUT),
    TIME("gen_ai.client.operation.time_to_first_chunk",
         "Until the first part of a streamed answer came.", call_time, OF_CALL, FIRST_CHUNK,
         KIND(MODEL), 0),
    TIME("gen_ai.execute_tool.duration", "How long tools took.", call_time,
         LABEL(TOOL) | LABEL(TOOL_TYPE) | LABEL(AGENT) | LABEL(ERROR_TYPE), DURATION, KIND(TOOL),
         KIND(TOOL)),
    TIME("gen_ai.invoke_agent.duration", "How long agents took.", agent_time,
         LABEL(AGENT) | LABEL(REQUEST_MODEL) | LABEL(ERROR_TYPE), DURATION, KIND(AGENT),
         KIND(AGENT)),
    TIME("gen_ai.invoke_workflow.duration", "How long workflows took.", workflow_time,
         LABEL(WORKFLOW) | LABEL(ERROR_TYPE), DURATION, KIND(WORKFLOW), KIND(WORKFLOW)),
    OPERATIONS("success", LABEL(AGENT), SUCCESS),
    OPERATIONS("error", LABEL(AGENT) | LABEL(ERROR_TYPE), FAILURE),
    TIME("gen_ai.client.inference.duration", "How long calls of models took.", call_time,
         OF_CALL | LABEL(ERROR_TYPE), DURATION, 0, KIND(MODEL)),
    TIME("gen_ai.client.inference.time_to_first_chunk",
         "Until the first part of a streamed answer came.", call_time, OF_CALL, FIRST_CHUNK, 0,
         KIND(MODEL)),
    USAGE("input_tokens", INPUT, "Tokens sent, with those that a cache had."),
    USAGE("output_tokens", OUTPUT, "Tokens received, with reasoning."),
    USAGE("cache_read.input_tokens", CACHE_READ, "Tokens sent that a cache had."),
    USAGE("cache_write.input_tokens", CACHE_WRITE, "Tokens sent that were written to a cache."),
    USAGE("reasoning.output_tokens", REASONING, "Tokens received that were reasoning."),
    TOKENS_OF_EACH("input_tokens", INPUT, "Tokens that a call sent, with those that a cache had."),
    TOKENS_OF_EACH("output_tokens", OUTPUT, "Tokens that a call received, with reasoning."),
};

uint32_t wb_streams_of(wb_measured_kind kind, unsigned names)
{
    uint32_t found = 0;
    for (size_t i = 0; i < WB_STREAMS; i++)
        for (unsigned by = 0; by < 2; by++)
            if ((names >> by & 1) && (wb_streams[i].kinds[by] >> kind & 1))
                found |= UINT32_C(1) << i;
    return found;
}

size_t wb_stream_first(size_t stream)
{
    WB_ASSERT(stream < WB_STREAMS);
    while (stream > 0 && strcmp(wb_streams[stream - 1].name, wb_streams[stream].name) == 0)
        stream--;
    return stream;
}

const char *wb_series_label_key(wb_series_label label)
{
    static const char *const keys[WB_LABELS] = {
        [WB_LABEL_OPERATION] = "gen_ai.operation.name",
        [WB_LABEL_PROVIDER] = "gen_ai.provider.name",
        [WB_LABEL_REQUEST_MODEL] = "gen_ai.request.model",
        [WB_LABEL_RESPONSE_MODEL] = "gen_ai.response.model",
        [WB_LABEL_AGENT] = "gen_ai.agent.name",
        [WB_LABEL_WORKFLOW] = "gen_ai.workflow.name",
        [WB_LABEL_TOOL] = "gen_ai.tool.name",
        [WB_LABEL_TOOL_TYPE] = "gen_ai.tool.type",
        [WB_LABEL_ERROR_TYPE] = "error.type",
        [WB_LABEL_SERVER_ADDRESS] = "server.address",
        [WB_LABEL_SERVER_PORT] = "server.port",
    };
    return keys[label];
}
