/* SPDX-License-Identifier: Apache-2.0 */
/* otlp_feed: OTLP through Waybill's readers, for whoever compares it. Requests on standard input, each a line
 *
 *     WHAT SIGNAL LEN
 *
 * and LEN bytes behind it. SIGNAL is traces, metrics or logs. WHAT is json: the protobuf that this JSON
 * says; or walk: what the journal would hold of this protobuf (the payload of its entry kind). Answers on
 * standard output, a line "= LEN ACCEPTED REJECTED" and LEN bytes, where the two count spans, log records or
 * data points and are 0 for json; or "! " and why there is none. A request that is none ends the program:
 * the test is wrong. */
#include "proto/log_batch.h"
#include "proto/otlp_from_json.h"
#include "proto/otlp_walk.h"
#include "proto/span_batch.h"

#include <stdio.h>
#include <stdlib.h>

enum { LIMIT = 64 << 20, ARENA = 128 << 20 };

typedef struct tally {
    uint64_t accepted, rejected;
} tally;

static wb_signal signal_of(const char *word)
{
    if (strcmp(word, "traces") == 0) return WB_SIGNAL_TRACES;
    if (strcmp(word, "metrics") == 0) return WB_SIGNAL_METRICS;
    WB_ASSERT(strcmp(word, "logs") == 0);
    return WB_SIGNAL_LOGS;
}

static wb_status walk(wb_signal signal, wb_slice body, wb_arena *arena, wb_buffer *out,
                      tally *counts, wb_error *err)
{
    wb_batch *batch = NULL;
    if (signal == WB_SIGNAL_METRICS) {
        wb_metrics_points points;
        WB_TRY(wb_otlp_walk_metrics(body, arena, &batch, &points, err));
        *counts = (tally){points.accepted, points.rejected};
        return wb_metrics_write(batch, out, err);
    }
    if (signal == WB_SIGNAL_LOGS)
        WB_TRY(wb_otlp_walk_logs(body, NULL, arena, &batch, err));
    else
        WB_TRY(wb_otlp_walk(body, NULL, arena, &batch, err));
    *counts = (tally){batch->span_count, batch->rejected_count};
    return signal == WB_SIGNAL_LOGS ? wb_log_batch_write(batch, out, err)
                                    : wb_span_batch_write(batch, out, err);
}

static void answer(const char *what, wb_signal signal, wb_slice bytes, wb_arena *arena)
{
    WB_AUTO_BUFFER out;
    wb_error err;
    tally counts = {0};
    wb_buffer_init(&out, LIMIT);
    WB_ASSERT(strcmp(what, "json") == 0 || strcmp(what, "walk") == 0);
    wb_status status = strcmp(what, "json") == 0 ? wb_otlp_from_json(signal, bytes, &out, &err)
                                                 : walk(signal, bytes, arena, &out, &counts, &err);
    if (status != WB_OK) {
        (void)printf("! %s\n", err.detail);
        return;
    }
    (void)printf("= %zu %llu %llu\n", out.len, (unsigned long long)counts.accepted,
                 (unsigned long long)counts.rejected);
    if (out.len) (void)fwrite(out.ptr, 1, out.len, stdout);
}

int main(void)
{
    char line[64];
    WB_AUTO(wb_arena) arena = wb_arena_new(ARENA);
    WB_ASSERT(arena);
    while (fgets(line, sizeof line, stdin)) {
        char *rest, *end;
        const char *what = strtok_r(line, " ", &rest), *signal = strtok_r(NULL, " ", &rest);
        WB_ASSERT(what && signal && rest);
        size_t len = strtoul(rest, &end, 10);
        WB_ASSERT(end != rest && *end == '\n' && len <= LIMIT);
        uint8_t *bytes = malloc(len + 1);
        WB_ASSERT(bytes && fread(bytes, 1, len, stdin) == len);
        answer(what, signal_of(signal), (wb_slice){bytes, len}, arena);
        wb_arena_reset(arena);
        free(bytes);
    }
    return fflush(stdout);
}
