/* SPDX-License-Identifier: Apache-2.0 */
/* Whatever request arrives, of any signal: one that the walk takes is still one when it is redacted, once and again, with no fewer
 * items; and what a rule drops is gone the first time. */
#include "sidecar/pipeline/redact.h"

#include "proto/otlp_walk.h"

enum { ARENA_BYTES = 64 << 20, OUT_BYTES = 64 << 20, INPUT_MAX = 128 * 1024 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const wb_slice dropped[] = {{(const uint8_t *)"drop.*", 6}};
static const wb_slice cut[] = {{(const uint8_t *)"*.cut", 5}};

static uint32_t items(wb_signal signal, wb_slice request, const wb_key_set *keys, bool *taken)
{
    wb_batch *batch = NULL;
    wb_metrics_points points;
    WB_AUTO(wb_arena) arena = wb_arena_new(ARENA_BYTES);
    wb_status status = WB_OK;
    switch (signal) {
    case WB_SIGNAL_TRACES: status = wb_otlp_walk(request, keys, arena, &batch, NULL); break;
    case WB_SIGNAL_LOGS: status = wb_otlp_walk_logs(request, keys, arena, &batch, NULL); break;
    case WB_SIGNAL_METRICS:
        status = wb_otlp_walk_metrics(request, arena, &batch, &points, NULL);
        break;
    }
    *taken = status == WB_OK;
    return *taken ? batch->span_count : 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static wb_redactor *redactor;
    static wb_key_set *keys;
    if (!keys && wb_key_set_new(NULL, 0, NULL, 0, &keys, NULL) != WB_OK) return 0;
    if (!redactor && wb_redactor_new(NULL, &redactor, NULL) != WB_OK) return 0;
    if (size < 2 || size > INPUT_MAX) return 0;
    const wb_redact_policy policy = {.secrets = true,
                                     .content = (wb_redact_content)(data[0] >> 2 & 3),
                                     .preview_characters = 8 + (data[0] >> 4),
                                     .verbose_bytes = 64,
                                     .drop = {dropped, data[0] >> 7},
                                     .cut = {cut, data[0] >> 7}};
    wb_signal signal = (wb_signal)(data[0] % 3);
    wb_slice request = {data + 1, size - 1}, once, twice;
    wb_redacted done = {0}, again = {0};
    WB_AUTO_BUFFER first;
    WB_AUTO_BUFFER second;
    bool taken, still;
    wb_buffer_init(&first, OUT_BYTES);
    wb_buffer_init(&second, OUT_BYTES);
    if (wb_redact(redactor, &policy, signal, request, &first, &once, &done, NULL) != WB_OK)
        return 0;
    uint32_t n = items(signal, request, keys, &taken);
    if (!taken) return 0;
    uint32_t left = items(signal, once, keys, &still);
    WB_ASSERT(left >= n && still);     /* what was no UTF-8 may be cut away */
    wb_redact_policy for_one = policy; /* of an exporter */
    for_one.again = data[0] & 1;
    WB_ASSERT(wb_redact(redactor, &for_one, signal, once, &second, &twice, &again, NULL) == WB_OK);
    WB_ASSERT(items(signal, twice, keys, &still) >= left && still);
    WB_ASSERT(again.rules == 0);
    return 0;
}
