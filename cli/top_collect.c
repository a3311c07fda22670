/* SPDX-License-Identifier: Apache-2.0 */
/* Rates are differences of counters, which start at 0 with each process: two looks belong together only
 * if pid and start are the same. A sidecar that went and came back between them begins anew, without a
 * rate for one interval, and never with a negative one. */
#include "cli/top.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum { ANSWER_MS = 500 };

const char *const wb_top_counter_names[WB_TOP_COUNTERS] = {
    [WB_TOP_SPANS] = "spans",           [WB_TOP_DELEGATIONS] = "delegations",
    [WB_TOP_CONTINUED] = "continued",   [WB_TOP_LINKED] = "linked",
    [WB_TOP_UNVERIFIED] = "unverified", [WB_TOP_DUPLICATES] = "duplicates",
    [WB_TOP_REFUSED] = "refused",
};

/* ---- rates ---------------------------------------------------------------------------------- */

static const wb_top_exporter *find_exporter(const wb_top_sidecar *s, const char *name)
{
    for (size_t i = 0; i < s->n_exporters; i++)
        if (strcmp(s->exporters[i].name, name) == 0) return &s->exporters[i];
    return NULL;
}

void wb_top_rate(wb_top_sidecar *now, const wb_top_sidecar *before)
{
    bool is_same = now->result == WB_PROBE_ANSWERS && before->result == WB_PROBE_ANSWERS &&
                   now->pid == before->pid && now->started_ns == before->started_ns &&
                   now->taken_ns > before->taken_ns;
    now->has_rates = is_same;
    if (!is_same) return;
    double seconds = (double)(now->taken_ns - before->taken_ns) / (double)WB_NS_PER_S;
    for (size_t i = 0; i < WB_TOP_COUNTERS; i++) {
        uint64_t more =
            now->counters[i] > before->counters[i] ? now->counters[i] - before->counters[i] : 0;
        now->rates[i] = (double)more / seconds;
    }
    for (size_t i = 0; i < now->n_exporters; i++) {
        wb_top_exporter *e = &now->exporters[i];
        const wb_top_exporter *earlier = find_exporter(before, e->name);
        if (earlier && e->sent_records >= earlier->sent_records)
            e->sent_per_s = (double)(e->sent_records - earlier->sent_records) / seconds;
    }
}

/* ---- one sidecar ---------------------------------------------------------------------------- */

static void copy_text(char *out, size_t size, wb_slice text)
{
    size_t len = text.len < size ? text.len : size - 1;
    if (len > 0) memcpy(out, text.ptr, len);
    out[len] = '\0';
}

static void read_counters(const wb_json *c, uint64_t out[WB_TOP_COUNTERS])
{
    out[WB_TOP_SPANS] = wb_report_number(c, "spans_accepted");
    out[WB_TOP_DELEGATIONS] =
        wb_report_number(c, "delegations_signed") + wb_report_number(c, "delegations_unsigned");
    out[WB_TOP_CONTINUED] = wb_report_number(c, "accepted_continue");
    out[WB_TOP_LINKED] = wb_report_number(c, "accepted_link");
    out[WB_TOP_UNVERIFIED] = wb_report_number(c, "accepted_unverified");
    out[WB_TOP_DUPLICATES] = wb_report_number(c, "duplicates");
    out[WB_TOP_REFUSED] = wb_report_number(c, "refused");
}

static void read_exporters(const wb_json *list, wb_top_sidecar *s)
{
    for (const wb_json *e = list ? list->first : NULL; e; e = e->next) {
        if (s->n_exporters == WB_TOP_EXPORTERS) return;
        wb_top_exporter *x = &s->exporters[s->n_exporters++];
        copy_text(x->name, sizeof x->name, wb_report_text(e, "name"));
        copy_text(x->state, sizeof x->state, wb_report_text(e, "state"));
        x->sent_records = wb_report_number(e, "sent_records");
        x->lag_frames = wb_report_number(e, "lag_frames");
        x->lag_bytes = wb_report_number(e, "lag_bytes");
        x->lag_ms = wb_report_number(e, "lag_ms");
        x->dropped_records = wb_report_number(e, "dropped_records");
        x->parked_records = wb_report_number(e, "parked_records");
        x->sent_per_s = -1;
    }
}

static void read_report(const wb_json *r, wb_top_sidecar *s)
{
    const wb_json *journal = wb_report_object(r, "journal");
    copy_text(s->why, sizeof s->why, wb_report_text(r, "trouble"));
    s->healthy = wb_report_bool(r, "healthy");
    s->degraded = wb_report_bool(r, "degraded");
    s->pid = wb_report_number(r, "pid");
    s->started_ns = wb_report_number(r, "started_ns");
    s->uptime_s = wb_report_number(r, "uptime_s");
    s->open_delegations = wb_report_number(wb_report_object(r, "delegations"), "open");
    s->open_acceptances = wb_report_number(wb_report_object(r, "acceptances"), "open");
    s->journal_used = wb_report_number(journal, "used_bytes");
    s->journal_limit = wb_report_number(journal, "limit_bytes");
    read_counters(wb_report_object(r, "counters"), s->counters);
    read_exporters(wb_report_object(r, "exporters"), s);
}

static void ask(const wb_cli *cli, wb_arena *arena, wb_top_sidecar *s)
{
    wb_probe probe;
    wb_probe_within(cli, ANSWER_MS, arena, &probe);
    copy_text(s->name, sizeof s->name, wb_slice_str(cli->paths.name));
    s->result = probe.result;
    s->taken_ns = wb_mono(cli->clock);
    s->pid = probe.pid;
    if (probe.report)
        read_report(probe.report, s);
    else
        copy_text(s->why, sizeof s->why, wb_slice_str(probe.why));
    wb_arena_reset(arena);
}

/* ---- all of them ---------------------------------------------------------------------------- */

typedef struct name_list {
    char names[WB_TOP_SIDECARS][WB_NAME_MAX + 1];
    size_t n, left_out;
} name_list;

static int by_name(const void *a, const void *b) { return strcmp(a, b); }

static bool has_status_file(const char *parent, const char *name)
{
    char path[2 * WB_PATH_MAX];
    int len = snprintf(path, sizeof path, "%s/%s/status.json", parent, name);
    return len > 0 && (size_t)len < sizeof path && access(path, F_OK) == 0;
}

/* Names of the run directories beside this one's in which a status.json is. */
static void find_names(const wb_cli *cli, name_list *list)
{
    char parent[WB_PATH_MAX];
    copy_text(parent, sizeof parent, wb_slice_str(cli->paths.run_dir));
    char *slash = strrchr(parent, '/');
    if (slash && slash > parent) *slash = '\0';
    DIR *dir = opendir(parent);
    if (!dir) return;
    for (struct dirent *e; (e = readdir(dir));) { /* NOLINT(concurrency-mt-unsafe): one thread */
        if (!wb_name_is_valid(wb_slice_str(e->d_name)) || !has_status_file(parent, e->d_name))
            continue;
        if (list->n == WB_TOP_SIDECARS)
            list->left_out++;
        else
            copy_text(list->names[list->n++], WB_NAME_MAX + 1, wb_slice_str(e->d_name));
    }
    (void)closedir(dir);
    qsort(list->names, list->n, sizeof list->names[0], by_name);
}

static void collect_one(const wb_cli *cli, const wb_top *before, wb_arena *arena, wb_top *out)
{
    wb_top_sidecar *s = &out->sidecars[out->n++];
    *s = (wb_top_sidecar){0};
    ask(cli, arena, s);
    for (size_t i = 0; before && i < before->n; i++)
        if (strcmp(before->sidecars[i].name, s->name) == 0) wb_top_rate(s, &before->sidecars[i]);
}

void wb_top_collect(const wb_cli *cli, bool one, const wb_top *before, wb_arena *arena, wb_top *out)
{
    name_list list = {.n = 0};
    out->n = out->left_out = 0;
    if (one) {
        collect_one(cli, before, arena, out);
        return;
    }
    find_names(cli, &list);
    out->left_out = list.left_out;
    for (size_t i = 0; i < list.n; i++) {
        wb_cli other = *cli;
        wb_paths_choice choice = {.name = list.names[i]};
        if (wb_paths_resolve_run(&choice, &other.paths, NULL) == WB_OK)
            collect_one(&other, before, arena, out);
    }
}
