/* SPDX-License-Identifier: Apache-2.0 */
/* tests/fault/journal_trial.h: a journal on a model disk, a load, crashes at random places, and an
 * oracle that knows what was promised. */
#ifndef WAYBILL_TESTS_FAULT_JOURNAL_TRIAL_H
#define WAYBILL_TESTS_FAULT_JOURNAL_TRIAL_H

#include <stdbool.h>
#include <stdint.h>

typedef struct wb_trial_options {
    uint64_t seed;
    unsigned crashes;         /* crash points to go through, unless something is found before */
    const char *ignored_site; /* a sync that the journal "forgot"; NULL: none */
    bool early_ack;           /* a writer that answers before the commit */
    bool tight;               /* many a start finds a full disk, and the reserve gone */
} wb_trial_options;

typedef struct wb_trial_result {
    uint64_t crashes, kills; /* power cuts; processes killed in between */
    uint64_t acknowledged;   /* frames promised: acknowledged, or found by a start-up */
    uint64_t lost;           /* promised and gone */
    uint64_t doubled;        /* one transaction under two sequences */
    uint64_t invented;       /* frames that nobody appended, or that were given up before */
    uint64_t wrong_state;    /* tables that differ from the frames' sum */
    uint64_t false_alarms;   /* the start-up told of damage where there was none, or failed */
    uint64_t rolls, snapshots, trims, faults, refusals; /* what the load went through */
} wb_trial_result;

/** Run until `crashes` are done or the first finding. */
void wb_trial_run(const wb_trial_options *options, wb_trial_result *result);
static inline uint64_t wb_trial_findings(const wb_trial_result *r)
{
    return r->lost + r->doubled + r->invented + r->wrong_state + r->false_alarms;
}

/** Names of the sync sites that a run without crashes goes through. */
unsigned wb_trial_sites(const char *out[], unsigned max);

#endif
