/* SPDX-License-Identifier: Apache-2.0 */
/* Trouble is when requests are refused, degraded when they are not and something is still amiss. The order of
 * the causes is that of how much they stop: the first that holds is the one that is said.
 *
 * After a loss in the journal tokens are refused for as long as clocks may differ. A peer that asks again
 * elsewhere succeeds, so /readyz sends it there; a restart would help nobody, so /healthz stays well. */
#include "sidecar/trouble.h"

#include "sidecar/confine.h"
#include "sidecar/exporters.h"

#include <stdio.h>
#include <time.h>

enum { DROPS_ARE_NEWS_S = 60 };

static wb_trouble say(char text[WB_TROUBLE_TEXT], const char *what)
{
    (void)snprintf(text, WB_TROUBLE_TEXT, "%s", what);
    return WB_TROUBLE_STAYS;
}

/* Of the exporters that nothing is dropped for, the furthest behind. */
static bool find_slowest(wb_sidecar *sidecar, wb_exporter_report *out)
{
    wb_exporter_report one;
    bool found = false;
    for (size_t i = 0; wb_exporters_report(sidecar->exporters, i, &one); i++) {
        if (one.when_full != WB_WHEN_FULL_BACKPRESSURE || one.lag_bytes == 0) continue;
        if (found && one.lag_bytes <= out->lag_bytes) continue;
        *out = one;
        found = true;
    }
    return found;
}

/* Being full ends when there is room for a segment, and only whole segments are given back. Whoever is at
 * least one behind holds one back for certain; of whoever is less, nothing of the kind may be said. */
static bool find_cause(wb_sidecar *sidecar, wb_exporter_report *out)
{
    return find_slowest(sidecar, out) && out->lag_bytes >= sidecar->config->journal_segment_bytes;
}

/* Whether what is open, or closed of late, fills it: two snapshots and the space for two more. */
static bool is_filled_by_state(const wb_journal_stats *journal)
{
    return journal->snapshot_bytes > journal->limit_bytes / 8;
}

static wb_trouble say_full(wb_sidecar *sidecar, const wb_journal_stats *journal, char *text)
{
    wb_exporter_report slow;
    bool by_limit = journal->full == WB_JOURNAL_FULL_LIMIT;
    int len = snprintf(text, WB_TROUBLE_TEXT,
                       by_limit ? "full: the journal has reached journal.limit_bytes"
                                : "full: the journal's disk has no room");
    char *rest = text + len;
    size_t cap = WB_TROUBLE_TEXT - (size_t)len;
    if (find_cause(sidecar, &slow))
        (void)snprintf(rest, cap, "; exporter %s holds it back, %llu bytes behind (%s)", slow.name,
                       (unsigned long long)slow.lag_bytes,
                       slow.runner.last_error.status != WB_OK ? slow.runner.last_error.detail
                                                              : "it is slow");
    else if (by_limit && is_filled_by_state(journal))
        (void)snprintf(
            rest, cap,
            "; delegations that are open or closed of late fill it (%llu bytes, kept about "
            "fivefold): it ends when they are over, or raise it",
            (unsigned long long)journal->snapshot_bytes);
    else
        (void)snprintf(rest, cap, "; %s", by_limit ? "raise it" : "make room there");
    return WB_TROUBLE_STAYS;
}

static bool find_lagging(wb_sidecar *sidecar, char text[WB_TROUBLE_TEXT])
{
    wb_exporter_report slow;
    if (!find_slowest(sidecar, &slow) || slow.lag_bytes <= slow.max_lag_bytes) return false;
    (void)snprintf(
        text, WB_TROUBLE_TEXT, "full: exporter %s is %llu bytes behind and may be %llu (%s)",
        slow.name, (unsigned long long)slow.lag_bytes, (unsigned long long)slow.max_lag_bytes,
        slow.runner.last_error.status != WB_OK ? slow.runner.last_error.detail : "it is slow");
    return true;
}

static bool find_recovery(wb_sidecar *sidecar, char text[WB_TROUBLE_TEXT])
{
    const wb_world *world = wb_world_take(sidecar->worlds);
    uint64_t until_s = wb_sidecar_recovering_until(sidecar, world);
    bool refuses = until_s > 0 && world->config.trust_mode != WB_MODE_OBSERVE;
    wb_world_drop(world);
    if (!refuses) return false;
    struct tm utc;
    time_t until = (time_t)until_s;
    char end[32] = "some time"; /* a clock beyond all calendars */
    if (gmtime_r(&until, &utc)) (void)strftime(end, sizeof end, "%Y-%m-%d %H:%M:%SZ", &utc);
    (void)snprintf(
        text, WB_TROUBLE_TEXT,
        "recovering: tokens are refused until %s, since the journal lost which were used "
        "before; it ends by itself",
        end);
    return true;
}

static bool delivery_fails(wb_sidecar *sidecar)
{
    wb_exporter_report report;
    wb_time_ns now = wb_now(sidecar->clock);
    for (size_t i = 0; wb_exporters_report(sidecar->exporters, i, &report); i++) {
        wb_time_ns dropped = report.runner.skipped_ns;
        if (report.runner.last_error.status != WB_OK) return true;
        if (dropped != 0 && now - dropped < DROPS_ARE_NEWS_S * WB_NS_PER_S) return true;
    }
    return false;
}

wb_trouble wb_sidecar_trouble(wb_sidecar *sidecar, char text[WB_TROUBLE_TEXT])
{
    wb_journal_stats journal;
    wb_journal_get_stats(sidecar->journal, &journal);
    if (journal.failed)
        return say(text, "the journal cannot write: nothing is accepted until the disk can");
    if (wb_writer_lost_its_journal(sidecar->writer))
        return say(text, "the journal was removed: nothing is accepted until a restart");
    if (journal.full) return say_full(sidecar, &journal, text);
    if (find_lagging(sidecar, text)) return WB_TROUBLE_STAYS;
    if (atomic_load(&sidecar->unreachable))
        return say(text, "the run directory or its socket was removed: new clients cannot connect "
                         "until a restart");
    if (atomic_load(&sidecar->draining)) {
        (void)say(text, "shutting down");
        return WB_TROUBLE_PASSES;
    }
    return find_recovery(sidecar, text) ? WB_TROUBLE_PASSES : WB_TROUBLE_NONE;
}

bool wb_sidecar_is_degraded(wb_sidecar *sidecar, const wb_world *world)
{
    return wb_world_problems(world) > 0 || delivery_fails(sidecar) ||
           wb_confine_closed(sidecar).how != WB_CLOSED_NOT ||
           wb_sidecar_recovering_until(sidecar, world) > 0;
}

uint64_t wb_sidecar_recovering_until(wb_sidecar *sidecar, const wb_world *world)
{
    wb_seen seen;
    wb_look_at(&sidecar->look, &seen);
    uint64_t lost_s = seen.recovered_s;
    uint64_t until_s = lost_s + world->config.trust_skew_s;
    return lost_s > 0 && wb_now(sidecar->clock) / WB_NS_PER_S < until_s ? until_s : 0;
}
