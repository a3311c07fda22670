/* SPDX-License-Identifier: Apache-2.0 */
/* tests/unit/delivery/runner_kit.h: a runner over a real journal, and an exporter that does what the
 * test says. */
#ifndef WAYBILL_TESTS_UNIT_DELIVERY_RUNNER_KIT_H
#define WAYBILL_TESTS_UNIT_DELIVERY_RUNNER_KIT_H

#include "sidecar/delivery/runner.h"

#include "core/buffer.h"
#include "sidecar/journal/journal.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <unistd.h>

#include <cmocka.h>

enum { TAKEN_MAX = 8192, SENDS_MAX = 4096, PATIENCE_MS = 5000 };

typedef struct script {
    pthread_mutex_t lock;
    /* what to do */
    wb_status open_status;
    uint32_t failures;     /* so many sends fail first ... */
    wb_status failure;     /* ... with this */
    size_t fail_send_from; /* the first of these, from 0 */
    bool took_anyway;      /* ... although the far side took the records */
    uint32_t retry_after_ms;
    uint64_t bad_seq[8]; /* records (seq, entry) that it refuses; seq 0: none */
    uint32_t bad_entry[8];
    bool all_bad;
    uint64_t bad_span[8]; /* spans that it refuses, by the number in their id; 0: none */
    uint32_t drops;       /* says yes, and that it dropped so many */
    uint32_t slow_ms;
    bool stuck; /* no send returns while it is set */
    /* what happened */
    size_t n_taken, n_sends;
    struct {
        uint64_t seq;
        uint32_t entry;
        size_t len;
    } taken[TAKEN_MAX];
    struct {
        size_t n, bytes;
        uint64_t first_seq, last_seq, at_ns;
    } sends[SENDS_MAX];
    bool closed;
    wb_buffer first_payload; /* of what it took */
    /* the spans of what it took, and of each the start of its tracestate */
    size_t n_spans;
    struct {
        uint64_t seq, trace, span; /* the numbers in the ids */
        char trace_state[48];
    } spans[TAKEN_MAX];
} script;

/* Takes spans and delegations; of the second one also parts of a record. */
extern const wb_exporter_ops script_ops, script_parts_ops;

typedef struct fixture {
    char dir[64], parked_dir[96], parked[128];
    wb_journal *journal;
    script script;
    wb_config_section section;
    wb_exporter_origin origin;
    wb_runner_options options;
    wb_runner *runner;
    pthread_t thread;
    bool running;
    pthread_mutex_t lock;
    uint64_t advanced[1024];
    size_t n_advanced;
} fixture;

int set_up(void **state);
int tear_down(void **state);

void start(fixture *f);
void join(fixture *f);
/* Stop and free the runner, if there is one. */
void finish(fixture *f);

/* A frame of `n` entries of these kinds, each payload `len` bytes; committed. */
uint64_t frame(fixture *f, const wb_entry_kind *kinds, size_t n, size_t len);
/* A frame of one payload. */
uint64_t frame_of(fixture *f, wb_entry_kind kind, wb_slice payload);
/* A frame of one record that is no span batch. */
uint64_t spans(fixture *f);

typedef struct span_spec {
    uint64_t trace; /* in the low 8 bytes of the trace id: its randomness */
    uint64_t span;
    bool error;
    uint32_t ms;                    /* it lasted */
    const char *trace_state, *attr; /* NULL: none; an attribute's key */
} span_spec;

/* A span batch's payload; real OTLP. */
void make_spans(wb_buffer *out, const span_spec *specs, size_t n);
/* A frame of one record of these spans. */
uint64_t record_of(fixture *f, const span_spec *specs, size_t n);

wb_runner_stats stats(fixture *f);
bool cursor_is(fixture *f, uint64_t seq);
size_t advances(fixture *f);
uint64_t last_advance(fixture *f);
size_t taken(fixture *f);
size_t send_count(fixture *f);
/* Whether sends get stuck from now on. */
void set_stuck(fixture *f, bool stuck);
size_t spans_taken(fixture *f);
/* Whether the exporter has the span of that number. */
bool has_span(fixture *f, uint64_t span);
/* In order, and none twice. */
void assert_taken_once_in_order(const fixture *f);
size_t lines_in(const char *path);
size_t parked_lines(const fixture *f);

#define EVENTUALLY(condition)                                                                      \
    do {                                                                                           \
        int left_ = PATIENCE_MS;                                                                   \
        while (!(condition) && left_-- > 0) usleep(1000);                                          \
        if (!(condition)) fail_msg("not within %d ms: %s", PATIENCE_MS, #condition);               \
    } while (0)

#endif
