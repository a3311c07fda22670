/* SPDX-License-Identifier: Apache-2.0 */
/* sidecar/delivery/runner.h: one exporter's way through the journal. Why it is shaped so:
 * docs/design/delivery.md.
 *
 * The sidecar's root makes one runner per configured exporter and starts a thread with
 * wb_runner_run. */
#ifndef WAYBILL_SIDECAR_DELIVERY_RUNNER_H
#define WAYBILL_SIDECAR_DELIVERY_RUNNER_H

#include "core/clock.h"
#include "exporters/exporter.h"
#include "sidecar/delivery/delivery_config.h"
#include "sidecar/delivery/select.h"

typedef struct wb_journal wb_journal;
typedef struct wb_runner wb_runner;

typedef struct wb_runner_options {
    const char *name;                /* the exporter's configured name; its cursor's key */
    const wb_exporter_ops *ops;      /* static */
    const wb_config_section *config; /* the exporter's own */
    const wb_exporter_origin *origin;
    const wb_delivery_config *delivery; /* NULL: all of it, as it is, at once */
    const wb_less *less;                /* what it may not have of it; NULL: it may have all */
    wb_journal *journal;
    uint64_t cursor;          /* all at or below it were delivered by an earlier run */
    uint64_t skipped_records; /* by earlier runs */
    wb_time_ns skipped_ns;
    const char *parked_dir;    /* where quarantine files go; made 0700 when first needed */
    uint64_t parked_max_bytes; /* of each of the two; 0: WB_PARKED_MAX_BYTES */
    const wb_clock *clock;
    uint32_t batch_records;  /* 0: 1024 */
    uint32_t batch_bytes;    /* 0: 1 MiB; a larger frame travels alone */
    uint32_t timeout_ms;     /* of one send; 0: 10 s */
    uint32_t backoff_min_ms; /* 0: 100 */
    uint32_t backoff_max_ms; /* 0: 30 000 */
    /** All at or below `seq` are durable at the far side, parked or given up: make it durable as a
     *  WB_ENTRY_CURSOR and let the journal trim. Called on the runner's thread, at most once a
     *  second or a MiB, when caught up, and at the end; never for frames that hold cursors only. */
    void (*advance)(void *ctx, const char *exporter, uint64_t seq);
    void *ctx;
} wb_runner_options;

typedef enum wb_runner_state {
    WB_RUNNER_IDLE, /* caught up, waits for the journal */
    WB_RUNNER_SENDING,
    WB_RUNNER_BACKOFF, /* the far side is away; last_error says why */
    WB_RUNNER_STOPPED,
} wb_runner_state;

typedef struct wb_runner_stats {
    wb_runner_state state;
    uint64_t cursor;       /* delivered, parked, skipped or undecided up to here */
    uint64_t lag_seq;      /* committed frames behind the cursor */
    uint64_t lag_ns;       /* since it was last caught up; 0 while it is */
    uint64_t sent_records; /* this process; repeats count once */
    uint64_t sent_bytes;
    uint64_t sends, failed_sends;
    uint64_t parked_records;   /* and single spans of records */
    uint64_t unparked_records; /* of them: removed since, to make room for younger ones */
    uint64_t unsampled_spans;  /* left out by sampling */
    uint64_t unsure_spans;     /* kept because there are too many traces to keep to know them all */
    uint64_t dropped_records;  /* the far side said yes and dropped them (partial success) */
    uint64_t skipped_records; /* never sent, because it was too far behind; earlier runs included */
    uint64_t undecided_records; /* given up while they were in hand: they may yet go through */
    wb_time_ns skipped_ns;      /* when last; 0: never */
    uint32_t backoff_ms;        /* of the present wait */
    wb_error last_error;        /* of the last failed send; status WB_OK once one succeeded */
} wb_runner_stats;

/** Opens the exporter. Everything in `options` is borrowed for the life of the runner.
 *  Errors  CONFIG the exporter's settings, or `delivery` | NO_MEMORY */
WB_MUST_USE wb_status wb_runner_new(const wb_runner_options *options, wb_runner **out,
                                    wb_error *err);
/** WB_KIND_BIT of the kinds that it delivers. Any thread. */
uint64_t wb_runner_takes(const wb_runner *runner);
/** The body of the runner's thread: delivers until stopped or drained. */
void wb_runner_run(wb_runner *runner);
/** Any thread. Return from wb_runner_run after the send in hand, whatever is left. */
void wb_runner_stop(wb_runner *runner);
/** Any thread. Deliver what the journal holds now, then return from wb_runner_run; return anyway
 *  `timeout_ms` from now. */
void wb_runner_drain(wb_runner *runner, uint32_t timeout_ms);
/** To give up the oldest: the caller counts the wanted records between the answer and the `seq` that it
 *  then gives to wb_runner_skip_end, which must follow, from the same thread. Until then the runner goes on
 *  with the batch in hand and takes no other, so what is counted is neither sent nor trimmed. One thread
 *  besides the runner's. */
uint64_t wb_runner_skip_begin(wb_runner *runner);
/** All at or below `seq` is given up, `records` of it never sent. What of the batch in hand is among it may
 *  still go through: it is undecided, and counted as skipped if it does not. 0: nothing is given up. */
void wb_runner_skip_end(wb_runner *runner, uint64_t seq, uint64_t records);
/** Any thread. */
void wb_runner_get_stats(wb_runner *runner, wb_runner_stats *out);
/** "idle" "sending" "backoff" "stopped". */
const char *wb_runner_state_name(wb_runner_state state);
/** Closes the exporter. wb_runner_run must have returned. */
void wb_runner_free(wb_runner *runner);
WB_DEFINE_AUTO(wb_runner)

#endif
