/* SPDX-License-Identifier: Apache-2.0 */
/* Whatever bytes stand for a span, a resource or a scope, what is written of them for the stores and
 * for other backends is JSON by our own strict reader: UTF-8, for stores without U+0000, no name twice, never too
 * deep. */
#include "proto/otlp_json.h"

#include "core/json.h"
#include "proto/otlp_to_json.h"

enum { TEXT_BYTES = 1 << 20, ARENA_BYTES = 64 << 20, INPUT_BYTES = 16 * 1024 };

static const wb_json_limits limits = {.depth = 400,
                                      .members = TEXT_BYTES,
                                      .elements = TEXT_BYTES,
                                      .string_bytes = TEXT_BYTES,
                                      .any_number = true};

/* `status` is of the writer of `json`, which has a member's name in front. */
static void check_by(const wb_json_limits *by, wb_status status, wb_buffer *json)
{
    const wb_json *root = NULL;
    wb_json_fault fault = WB_JSON_NO_FAULT;
    if (status == WB_OK) {
        WB_AUTO(wb_arena) arena = wb_arena_new(ARENA_BYTES);
        WB_ASSERT(arena && wb_buffer_add_slice(json, WB_S("}")) == WB_OK);
        wb_status read = wb_json_parse(wb_buffer_slice(json), by, arena, &root, &fault);
        WB_ASSERT(read == WB_OK && fault == WB_JSON_NO_FAULT && root->n == 1);
    }
    wb_buffer_clear(json);
    WB_ASSERT(wb_buffer_add_slice(json, WB_S("{\"it\":")) == WB_OK);
}

/* What stores keep: without U+0000. */
static void check(wb_status status, wb_buffer *json) { check_by(&limits, status, json); }

/* OTLP's own, which has it. */
static void check_otlp(wb_status status, wb_buffer *json)
{
    wb_json_limits wider = limits;
    wider.any_char = true;
    check_by(&wider, status, json);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const wb_otlp_owner owners[] = {WB_OTLP_RESOURCE, WB_OTLP_SCOPE, WB_OTLP_LINK,
                                           WB_OTLP_SPAN};
    const wb_slice message = {data, size};
    WB_AUTO_BUFFER json;
    wb_buffer_init(&json, TEXT_BYTES);
    if (size > INPUT_BYTES) return 0; /* looking for equal names takes the square of their number */
    check(WB_ERR_NO_MEMORY, &json);
    for (size_t i = 0; i < WB_COUNT(owners); i++)
        check(wb_otlp_attrs_json(message, owners[i], &json), &json);
    check(wb_otlp_events_json(message, &json), &json);
    check(wb_otlp_links_json(message, &json), &json);
    check_otlp(wb_otlp_span_to_json(message, &json), &json);
    check_otlp(wb_otlp_resource_to_json(message, &json), &json);
    check_otlp(wb_otlp_scope_to_json(message, &json), &json);
    check(wb_otlp_value_json(wb_otlp_value(message), &json), &json);
    return 0;
}
