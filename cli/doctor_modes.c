/* SPDX-License-Identifier: Apache-2.0 */
/* Which senders hold back the next trust mode (observe, link, enforce): whose messages were let in during
 * the last days though that mode would have refused them. The store has every acceptance, but of an
 * unverified one it knows the transport's peer alone; the records of refusals (propagation/refusal.h) are
 * few, but say who the sender claimed to be. So the store counts, and the records name. */
#include "cli/doctor.h"
#include "cli/input.h"
#include "propagation/refusal.h"
#include "propagation/trust.h"
#include "store/store.h"

enum { DAYS = 7, GROUPS_MAX = 64, SHOWN_MAX = 20, PEER_MAX = 96, ISSUER_MAX = 256 };

typedef struct group {
    char peer[PEER_MAX], code[32], issuer[ISSUER_MAX];
    bool is_refusal; /* let pass by observe alone */
    bool more_issuers;
    uint64_t count;
    wb_time_ns last_ns;
} group;

typedef struct groups {
    wb_time_ns since_ns;
    group of[GROUPS_MAX];
    size_t n;
} groups;

static void copy(char *out, size_t size, wb_slice text)
{
    size_t len = text.len < size - 1 ? text.len : size - 1;
    if (len > 0) memcpy(out, text.ptr, len);
    out[len] = '\0';
}

static group *find(groups *g, wb_slice peer, wb_slice code, bool is_refusal)
{
    group key = {.is_refusal = is_refusal};
    copy(key.peer, sizeof key.peer, peer);
    copy(key.code, sizeof key.code, code);
    for (size_t i = 0; i < g->n; i++)
        if (g->of[i].is_refusal == is_refusal && strcmp(g->of[i].peer, key.peer) == 0 &&
            strcmp(g->of[i].code, key.code) == 0)
            return &g->of[i];
    if (g->n == GROUPS_MAX) return NULL;
    g->of[g->n] = key;
    return &g->of[g->n++];
}

static wb_status add_stored(void *self, const wb_stored_lenience *row)
{
    groups *g = self;
    group *found = find(g, row->peer, row->code, row->is_refusal);
    if (!found) return WB_OK;
    found->count += row->count;
    found->last_ns = row->last_ns;
    return WB_OK;
}

/* A group that only the records know counts 1: the store may not have it yet. */
static wb_status add_record(void *self, const wb_refusal *r)
{
    groups *g = self;
    bool is_refusal = r->kind == WB_REFUSAL_PASSED;
    if (r->time_ns < g->since_ns || (!is_refusal && r->kind != WB_REFUSAL_UNVERIFIED)) return WB_OK;
    group *found = find(g, r->peer, r->code, is_refusal);
    if (!found) return WB_OK;
    if (found->count == 0) found->count = 1;
    if (r->time_ns > found->last_ns) found->last_ns = r->time_ns;
    if (r->issuer.len == 0) return WB_OK;
    if (found->issuer[0] == '\0')
        copy(found->issuer, sizeof found->issuer, r->issuer);
    else if (!wb_slice_eq(wb_slice_str(found->issuer), r->issuer))
        found->more_issuers = true;
    return WB_OK;
}

/* False: the records could not be read, so that nobody can say that there are none. */
static bool gather(wb_doctor *d, groups *g, wb_error *err)
{
    char self_id[WB_SELF_ID_MAX + 1];
    WB_AUTO(wb_store) store = NULL;
    wb_input_self_id(d->cli, NULL, self_id);
    /* What cannot be read was said by the checks of store and state directory. */
    if (wb_store_open(d->cli->paths.store, &store, NULL) == WB_OK)
        (void)!wb_store_leniences(store, wb_slice_str(self_id), g->since_ns, GROUPS_MAX, add_stored,
                                  g, NULL);
    return wb_refusals_read(d->cli->paths.state_dir, add_record, g, err) == WB_OK;
}

static void say_group(wb_doctor *d, const group *g)
{
    const wb_token_help *help = wb_token_help_of(wb_token_code_parse(wb_slice_str(g->code)));
    char last[WB_TIME_TEXT], claims[ISSUER_MAX + 40] = "";
    if (g->issuer[0])
        (void)snprintf(claims, sizeof claims, ", says it is %s%s", g->issuer,
                       g->more_issuers ? " and others" : "");
    wb_doctor_say(d, WB_FINDING_WARN, g->is_refusal ? "link" : "enforce",
                  help ? help->remedy : "see: waybill token why",
                  "held back by %s%s: %s, %llu times, last %s", g->peer[0] ? g->peer : "a sender",
                  claims, g->code[0] ? g->code : "a duplicate", (unsigned long long)g->count,
                  wb_time_text(g->last_ns, last));
}

void wb_doctor_modes(wb_doctor *d)
{
    static groups g; /* 25 KiB */
    wb_error err = {0};
    wb_time_ns now = wb_now(d->cli->clock);
    wb_slice mode = wb_report_text(wb_report_object(d->probe.report, "trust"), "mode");
    bool enforces = wb_slice_eq(mode, WB_S("enforce"));
    g = (groups){.since_ns = now - (wb_time_ns)DAYS * 86400 * WB_NS_PER_S};
    bool is_known = gather(d, &g, &err);
    const wb_json *counters = wb_report_object(d->probe.report, "counters");
    bool gone = wb_report_bool(counters, "refusals_file_gone");
    for (size_t i = 0; i < g.n && i < SHOWN_MAX; i++) say_group(d, &g.of[i]);
    if (g.n > SHOWN_MAX)
        wb_doctor_say(d, WB_FINDING_WARN, "enforce", "see to these first", "%zu more of them",
                      g.n - SHOWN_MAX);
    if (gone)
        wb_doctor_say(d, WB_FINDING_WARN, "refusals", "restart the sidecar, which makes it again",
                      WB_REFUSAL_FILE " was removed: new refs cannot be looked up");
    if (!is_known)
        wb_doctor_say(d, WB_FINDING_WARN, "enforce",
                      gone ? NULL
                           : "a sidecar makes the file when it starts: see --name and --state-dir",
                      "unknown: %s", err.detail);
    else if (g.n == 0)
        wb_doctor_say(d, WB_FINDING_OK, "enforce", NULL,
                      enforces ? "in force; nobody came in without a good token in %d days"
                               : "nothing holds back enforce: nobody came in without a good token "
                                 "in %d days",
                      DAYS);
}
