/* SPDX-License-Identifier: Apache-2.0 */
/* cli/top.h: what `top` knows of the running sidecars, at one time and between two. */
#ifndef WAYBILL_CLI_TOP_H
#define WAYBILL_CLI_TOP_H

#include "cli/probe.h"

/* Counters of a sidecar's report that a rate is made of. */
typedef enum wb_top_counter {
    WB_TOP_SPANS,
    WB_TOP_DELEGATIONS, /* signed or not */
    WB_TOP_CONTINUED,
    WB_TOP_LINKED,
    WB_TOP_UNVERIFIED,
    WB_TOP_DUPLICATES,
    WB_TOP_REFUSED,
    WB_TOP_COUNTERS,
} wb_top_counter;
extern const char *const wb_top_counter_names[WB_TOP_COUNTERS];

enum { WB_TOP_SIDECARS = 256, WB_TOP_EXPORTERS = 8, WB_TOP_TEXT = 64 };

typedef struct wb_top_exporter {
    char name[WB_TOP_TEXT], state[WB_TOP_TEXT];
    uint64_t sent_records, lag_frames, lag_bytes, lag_ms, dropped_records, parked_records;
    double sent_per_s; /* < 0: not known */
} wb_top_exporter;

typedef struct wb_top_sidecar {
    char name[WB_NAME_MAX + 1], why[200]; /* why: it does not answer, or is in trouble */
    wb_probe_result result;
    bool healthy, degraded;
    uint64_t taken_ns; /* monotonic */
    uint64_t pid, started_ns, uptime_s;
    uint64_t counters[WB_TOP_COUNTERS];
    double rates[WB_TOP_COUNTERS]; /* a second; valid if has_rates */
    bool has_rates;
    uint64_t open_delegations, open_acceptances, journal_used, journal_limit;
    wb_top_exporter exporters[WB_TOP_EXPORTERS]; /* further ones are not shown */
    size_t n_exporters;
} wb_top_sidecar;

/** All sidecars of one moment, by name. */
typedef struct wb_top {
    wb_top_sidecar sidecars[WB_TOP_SIDECARS]; /* further ones are counted */
    size_t n, left_out;
} wb_top;

/** Ask all sidecars whose run directories stand beside this one's, or that one alone. Each has half a
 *  second to answer.
 *  before  what was collected last, for rates; NULL at first */
void wb_top_collect(const wb_cli *cli, bool one, const wb_top *before, wb_arena *arena,
                    wb_top *out);

/** Fill the rates of `now` from an earlier look at the same process; without one it has none. */
void wb_top_rate(wb_top_sidecar *now, const wb_top_sidecar *before);

#endif
