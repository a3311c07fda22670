/* SPDX-License-Identifier: Apache-2.0 */
/* sidecar/delivery/runner_parts.h: the runner between its files: runner.c reads and waits, send.c sends
 * a batch. Private to sidecar/delivery/. */
#ifndef WAYBILL_SIDECAR_DELIVERY_RUNNER_PARTS_H
#define WAYBILL_SIDECAR_DELIVERY_RUNNER_PARTS_H

#include "sidecar/delivery/batch.h"
#include "sidecar/delivery/hold.h"
#include "sidecar/delivery/lookahead.h"
#include "sidecar/delivery/runner.h"

#include <pthread.h>

struct wb_runner {
    wb_runner_options options;
    uint64_t takes; /* WB_KIND_BIT */
    void *exporter;
    wb_journal_reader *reader;

    /* the runner's thread alone */
    wb_select *select; /* NULL: records go on as they are */
    wb_hold hold;
    wb_lookahead ahead;
    wb_delivery_batch batch;
    uint64_t rules;       /* by which it was made */
    bool made_anew;       /* it was given back for others */
    wb_arena *part_arena; /* while a refused record is sent span by span */
    wb_buffer part;
    uint64_t position;      /* read up to here */
    uint64_t advanced;      /* what `advance` was last told */
    uint64_t advanced_at;   /* monotonic */
    uint64_t bytes_since;   /* of frames passed since then */
    bool has_news;          /* records went through since then */
    bool holding;           /* there is more, not old enough yet */
    uint64_t failing_since; /* monotonic; 0: it answers */
    uint64_t logged_at;     /* of the last warning about it */
    uint32_t backoff_ms;    /* of the next wait */
    wb_log_gate parked_gate;

    pthread_mutex_t lock;
    pthread_cond_t changed;
    bool stop;
    uint64_t drain_until_ns; /* monotonic; 0: not draining */
    uint64_t drain_to_seq;   /* what the journal held then */
    uint64_t caught_up_at;   /* monotonic */
    uint64_t claimed;        /* up to here records are this thread's to send, or through */
    uint64_t in_hand;        /* records of the batch that are not through */
    bool skipping;           /* between wb_runner_skip_begin and _end: nothing more is claimed */
    uint64_t skip_to;        /* up to here nothing is sent any more; 0: never asked to */
    wb_runner_stats stats;
};

static inline uint64_t wb_runner_mono(const wb_runner *r) { return wb_mono(r->options.clock); }

/* ---- runner.c, for send.c ---- */

/** Time to return, with `position` read and through? */
bool wb_runner_is_over(wb_runner *r, bool nothing_left);
/** Milliseconds until a drain gives up, at most `ms`, at least 1. */
uint32_t wb_runner_within_drain(wb_runner *r, uint32_t ms);
void wb_runner_set_state(wb_runner *r, wb_runner_state state);
/** All up to `seq` is through. */
void wb_runner_pass(wb_runner *r, uint64_t seq);
/** Tell the cursor, if it is time. */
void wb_runner_advance(wb_runner *r, bool at_the_end);
/** Sleep; a stop, a drain that begins, or being told to skip ends it. */
void wb_runner_wait(wb_runner *r, uint64_t ns);

/** Give the batch back from its record `at` on, to be read and made again. False: that record was given up, so
 *  nothing is done. */
bool wb_runner_give_back(wb_runner *r, size_t at);

/* ---- send.c, for runner.c ---- */

void wb_runner_note_failure(wb_runner *r, wb_status status, wb_error *why);
/** Wait before the next try. */
void wb_runner_back_off(wb_runner *r, const wb_error *why, uint32_t retry_after_ms);
/** All of the batch, or as much as was made by rules that hold; or until it is time to return: false. */
bool wb_runner_deliver(wb_runner *r);

#endif
