/* SPDX-License-Identifier: Apache-2.0 */
/* Rows are copied out of the store into one arena, since they end with the query. Parents are found by
 * a sorted index of span ids. Senders choose ids, so nothing is believed about them: a parent that is
 * not there makes an orphan at the top, and spans that are each other's ancestors, which no walk from
 * the top would reach, are cut at one of them. */
#include "cli/trace_tree.h"

#include "proto/otlp_read.h"

#include <stdlib.h>

/* A growing array in the arena: the old copy is left behind, at most as large again. */
typedef struct rows {
    void *items;
    size_t n, cap, size;
} rows;

typedef struct loader {
    wb_arena *arena;
    rows spans, delegations, acceptances, sidecars, logs;
    wb_status status;
} loader;

static void *next_row(loader *l, rows *r)
{
    if (r->n == r->cap) {
        size_t cap = r->cap ? r->cap * 2 : 64;
        void *items = wb_arena_array(l->arena, cap, r->size);
        if (!items) return NULL;
        if (r->n) memcpy(items, r->items, r->n * r->size);
        r->items = items;
        r->cap = cap;
    }
    return (uint8_t *)r->items + r->n++ * r->size;
}

static void own(loader *l, wb_slice *s)
{
    if (s->len > 0 && l->status == WB_OK) l->status = wb_arena_dup(l->arena, *s, s);
}

static wb_status take_span(void *ctx, const wb_stored_span *row)
{
    loader *l = ctx;
    wb_stored_span *s = next_row(l, &l->spans);
    if (!s) return WB_ERR_NO_MEMORY;
    *s = *row;
    s->agent_id = s->sidecar_name = (wb_slice){NULL, 0}; /* its node has the sidecar */
    wb_slice *texts[] = {&s->name,       &s->kind,     &s->status,    &s->status_message,
                         &s->span,       &s->service,  &s->span_type, &s->error_type,
                         &s->session_id, &s->resource, &s->scope};
    for (size_t i = 0; i < WB_COUNT(texts); i++) own(l, texts[i]);
    return l->status;
}

static wb_status take_delegation(void *ctx, const wb_stored_delegation *row)
{
    loader *l = ctx;
    wb_stored_delegation *d = next_row(l, &l->delegations);
    if (!d) return WB_ERR_NO_MEMORY;
    *d = *row;
    wb_slice *texts[] = {&d->state,       &d->target_url, &d->target_agent_id, &d->target_name,
                         &d->method,      &d->message_id, &d->context_id,      &d->task_id,
                         &d->body_digest, &d->task_state, &d->error_type,      &d->event,
                         &d->issuer,      &d->key_id,     &d->unsigned_reason, &d->token_hash,
                         &d->chain,       &d->agent_id,   &d->sidecar_name,    &d->currency};
    for (size_t i = 0; i < WB_COUNT(texts); i++) own(l, texts[i]);
    return l->status;
}

static wb_status take_acceptance(void *ctx, const wb_stored_acceptance *row)
{
    loader *l = ctx;
    wb_stored_acceptance *a = next_row(l, &l->acceptances);
    if (!a) return WB_ERR_NO_MEMORY;
    *a = *row;
    wb_slice *texts[] = {&a->verdict,    &a->code,       &a->agent_id,    &a->issuer,
                         &a->subject,    &a->jti,        &a->token_hash,  &a->warnings,
                         &a->chain,      &a->method,     &a->message_id,  &a->context_id,
                         &a->task_id,    &a->peer,       &a->body_digest, &a->outcome,
                         &a->error_type, &a->task_state, &a->sidecar_name};
    for (size_t i = 0; i < WB_COUNT(texts); i++) own(l, texts[i]);
    return l->status;
}

static wb_status take_sidecar(void *ctx, const wb_stored_sidecar *row)
{
    loader *l = ctx;
    wb_stored_sidecar *s = next_row(l, &l->sidecars);
    if (!s) return WB_ERR_NO_MEMORY;
    *s = *row;
    wb_slice *texts[] = {&s->agent_id, &s->name, &s->version, &s->isolation};
    for (size_t i = 0; i < WB_COUNT(texts); i++) own(l, texts[i]);
    return l->status;
}

static wb_status take_log(void *ctx, const wb_stored_log *row)
{
    loader *l = ctx;
    wb_stored_log *log = next_row(l, &l->logs);
    if (!log) return WB_ERR_NO_MEMORY;
    *log = *row;
    wb_slice *texts[] = {&log->severity_text, &log->event_name, &log->body,
                         &log->service,       &log->log,        &log->resource,
                         &log->scope,         &log->agent_id,   &log->sidecar_name};
    for (size_t i = 0; i < WB_COUNT(texts); i++) own(l, texts[i]);
    return l->status;
}

/* ---- log records of spans that were moved ------------------------------------------------------ */

/* A span under a trace id that its caller only claimed was moved here, and says from where
 * (docs/design/rehoming.md). Its log records were not: nothing in them says whose child their span is. Every
 * claimed trace has a home of its own, so there is one such id, if any. Theirs are the records that name a span of
 * ours and came by the same sidecar. */
typedef struct movers {
    loader *l;
    const wb_stored_span **by_id;
    size_t n;
} movers;

static bool claimed_trace(const loader *l, wb_trace_id *out)
{
    const wb_stored_span *spans = l->spans.items;
    for (size_t i = 0; i < l->spans.n; i++) {
        wb_slice hex =
            wb_otlp_find_text(spans[i].span, WB_OTLP_SPAN, WB_S("waybill.claimed.trace_id"));
        if (hex.len > 0 && wb_unhex(hex, out->b, sizeof out->b) == WB_OK) return true;
    }
    return false;
}

static int by_stored_span_id(const void *a, const void *b)
{
    const wb_stored_span *x = *(const wb_stored_span *const *)a;
    const wb_stored_span *y = *(const wb_stored_span *const *)b;
    int order = memcmp(x->span_id.b, y->span_id.b, sizeof x->span_id.b);
    return order != 0 ? order : (x->sidecar_id > y->sidecar_id) - (x->sidecar_id < y->sidecar_id);
}

static wb_status take_log_of_moved(void *ctx, const wb_stored_log *row)
{
    const movers *m = ctx;
    const wb_stored_span key = {.span_id = row->span_id, .sidecar_id = row->sidecar_id};
    const wb_stored_span *sought = &key;
    bool ours =
        m->n > 0 && bsearch(&sought, m->by_id, m->n, sizeof *m->by_id, by_stored_span_id) != NULL;
    return ours ? take_log(m->l, row) : WB_OK;
}

static wb_status load_logs_of_moved(wb_store *store, loader *l, wb_error *err)
{
    wb_trace_id claimed;
    movers m = {.l = l, .n = l->spans.n};
    if (!claimed_trace(l, &claimed)) return WB_OK;
    m.by_id = wb_arena_array(l->arena, m.n, sizeof *m.by_id);
    if (!m.by_id) return WB_ERR_NO_MEMORY;
    for (size_t i = 0; i < m.n; i++) m.by_id[i] = (const wb_stored_span *)l->spans.items + i;
    qsort(m.by_id, m.n, sizeof *m.by_id, by_stored_span_id);
    return wb_store_logs(store, &claimed, 0, take_log_of_moved, &m, err);
}

typedef struct trace_taker {
    loader *l;
    wb_stored_trace *out;
    bool found;
} trace_taker;

static wb_status take_trace(void *ctx, const wb_stored_trace *row)
{
    trace_taker *t = ctx;
    *t->out = *row;
    own(t->l, &t->out->status);
    own(t->l, &t->out->root_name);
    own(t->l, &t->out->root_service);
    own(t->l, &t->out->session_id);
    t->found = true;
    return t->l->status;
}

static wb_status load_rows(wb_store *store, const wb_trace_id *trace, loader *l, wb_tree *tree,
                           wb_error *err)
{
    trace_taker taker = {l, &tree->trace, false};
    wb_trace_filter filter = {.trace_id = *trace};
    wb_delegation_filter delegations = {.trace_id = *trace};
    WB_TRY(wb_store_traces(store, &filter, take_trace, &taker, err));
    if (!taker.found) return wb_fail(err, WB_ERR_NOT_FOUND, "no trace with this id in the store");
    WB_TRY(wb_store_sidecars(store, take_sidecar, l, err));
    WB_TRY(wb_store_spans(store, trace, WB_SPANS_BY_START, take_span, l, err));
    WB_TRY(wb_store_logs(store, trace, 0, take_log, l, err));
    WB_TRY(load_logs_of_moved(store, l, err));
    WB_TRY(wb_store_delegations(store, &delegations, take_delegation, l, err));
    return wb_store_acceptances(store, trace, take_acceptance, l, err);
}

/* ---- joining -------------------------------------------------------------------------------- */

static int by_span_id(const void *a, const void *b)
{
    const wb_tree_node *x = *(wb_tree_node *const *)a, *y = *(wb_tree_node *const *)b;
    return memcmp(x->span_id.b, y->span_id.b, sizeof x->span_id.b);
}

static int by_start(const void *a, const void *b)
{
    const wb_tree_node *x = *(wb_tree_node *const *)a, *y = *(wb_tree_node *const *)b;
    if (x->started_ns != y->started_ns) return x->started_ns < y->started_ns ? -1 : 1;
    return by_span_id(a, b);
}

typedef struct joiner {
    wb_tree_node **index; /* by span id */
    size_t n;
    wb_tree_node *nodes; /* the same, in the order of making */
} joiner;

static wb_tree_node *find(const joiner *j, const wb_span_id *id)
{
    wb_tree_node key = {.span_id = *id}, *wanted = &key;
    wb_tree_node **found = bsearch(&wanted, j->index, j->n, sizeof *j->index, by_span_id);
    return found ? *found : NULL;
}

static const wb_stored_sidecar *sidecar_of(const loader *l, uint64_t id)
{
    const wb_stored_sidecar *all = l->sidecars.items;
    for (size_t i = 0; i < l->sidecars.n; i++)
        if (all[i].sidecar_id == id) return &all[i];
    return NULL;
}

static bool is_own(const wb_tree *tree, const wb_stored_acceptance *a)
{
    return WB_ID_EQ(a->trace_id, tree->trace.trace_id);
}

static void index_nodes(joiner *j)
{
    for (size_t i = 0; i < j->n; i++) j->index[i] = &j->nodes[i];
    if (j->n > 0) qsort(j->index, j->n, sizeof *j->index, by_span_id);
}

static void add_spans(const loader *l, joiner *j)
{
    const wb_stored_span *spans = l->spans.items;
    for (size_t i = 0; i < l->spans.n; i++)
        j->nodes[j->n++] = (wb_tree_node){.span = &spans[i],
                                          .sidecar = sidecar_of(l, spans[i].sidecar_id),
                                          .span_id = spans[i].span_id,
                                          .parent_id = spans[i].parent_id,
                                          .started_ns = spans[i].started_ns};
    index_nodes(j);
}

/* Delegations and acceptances name their span; without one in the store they get a node of their own. */
static void add_delegations(const loader *l, joiner *j)
{
    const wb_stored_delegation *all = l->delegations.items;
    size_t indexed = j->n;
    for (size_t i = 0; i < l->delegations.n; i++) {
        joiner known = {j->index, indexed, j->nodes};
        wb_tree_node *node = find(&known, &all[i].span_id);
        if (node)
            node->delegation = &all[i];
        else
            j->nodes[j->n++] = (wb_tree_node){.delegation = &all[i],
                                              .sidecar = sidecar_of(l, all[i].sidecar_id),
                                              .span_id = all[i].span_id,
                                              .parent_id = all[i].parent_id,
                                              .started_ns = all[i].opened_ns};
    }
    index_nodes(j);
}

static void add_acceptances(const loader *l, const wb_tree *tree, joiner *j)
{
    const wb_stored_acceptance *all = l->acceptances.items;
    size_t indexed = j->n;
    for (size_t i = 0; i < l->acceptances.n; i++) {
        if (!is_own(tree, &all[i])) continue;
        joiner known = {j->index, indexed, j->nodes};
        wb_tree_node *node = find(&known, &all[i].span_id);
        if (node)
            node->acceptance = &all[i];
        else
            j->nodes[j->n++] = (wb_tree_node){.acceptance = &all[i],
                                              .sidecar = sidecar_of(l, all[i].sidecar_id),
                                              .span_id = all[i].span_id,
                                              .parent_id = all[i].parent_id,
                                              .started_ns = all[i].opened_ns};
    }
    index_nodes(j);
}

static void add_child(wb_tree_node *parent, wb_tree_node *child)
{
    child->next = NULL;
    if (parent->last_child)
        parent->last_child->next = child;
    else
        parent->first_child = child;
    parent->last_child = child;
}

static wb_tree_node *parent_of(const joiner *j, const wb_tree_node *node)
{
    wb_tree_node *parent = WB_ID_ABSENT(node->parent_id) ? NULL : find(j, &node->parent_id);
    return parent == node ? NULL : parent;
}

/* Walk up from `node`; where the way comes back to itself, cut it. Each node is walked over once. */
static void settle(const joiner *by_id, wb_tree_node *node, size_t walk)
{
    wb_tree_node *n = node;
    for (; n && !n->is_settled && n->walk != walk; n = parent_of(by_id, n)) n->walk = walk;
    if (n && !n->is_settled) { /* met on this very walk */
        n->is_orphan = true;
        n->parent_id = (wb_span_id){{0}};
    }
    for (n = node; n && !n->is_settled; n = parent_of(by_id, n)) n->is_settled = true;
}

static void hang_in(wb_tree *tree, const joiner *by_id, wb_tree_node **in_order)
{
    for (size_t i = 0; i < by_id->n; i++) settle(by_id, in_order[i], i + 1);
    for (size_t i = 0; i < by_id->n; i++) {
        wb_tree_node *node = in_order[i];
        WB_ASSERT(node);
        wb_tree_node *parent = parent_of(by_id, node);
        if (!parent && !WB_ID_ABSENT(node->parent_id)) node->is_orphan = true;
        add_child(parent ? parent : &tree->top, node);
    }
}

static int by_span_then_time(const void *a, const void *b)
{
    const wb_stored_log *x = a, *y = b;
    int order = memcmp(x->span_id.b, y->span_id.b, sizeof x->span_id.b);
    if (order != 0) return order;
    if (x->time_ns != y->time_ns) return x->time_ns < y->time_ns ? -1 : 1;
    return x->log_row < y->log_row ? -1 : x->log_row > y->log_row;
}

/* Neighbours name the same span. */
static wb_status join_logs(const loader *l, const joiner *by_id, wb_tree *tree, wb_error *err)
{
    wb_stored_log *all = l->logs.items;
    if (l->logs.n == 0) return WB_OK;
    tree->other_logs = wb_arena_array(l->arena, l->logs.n, sizeof *tree->other_logs);
    if (!tree->other_logs) return wb_fail(err, WB_ERR_NO_MEMORY, "the trace is too large to show");
    qsort(all, l->logs.n, sizeof *all, by_span_then_time);
    for (size_t i = 0; i < l->logs.n; i++) {
        wb_tree_node *node = WB_ID_ABSENT(all[i].span_id) ? NULL : find(by_id, &all[i].span_id);
        if (!node)
            tree->other_logs[tree->n_other_logs++] = &all[i];
        else if (node->n_logs++ == 0)
            node->logs = &all[i];
    }
    return WB_OK;
}

static void measure(wb_tree *tree, const joiner *j)
{
    for (size_t i = 0; i < j->n; i++) {
        const wb_tree_node *node = &j->nodes[i];
        wb_time_ns end = wb_tree_end(tree, node);
        if (i == 0 || node->started_ns < tree->from_ns) tree->from_ns = node->started_ns;
        if (node->started_ns > tree->to_ns) tree->to_ns = node->started_ns;
        if (end > tree->to_ns) tree->to_ns = end;
    }
}

static wb_status join(const loader *l, wb_tree *tree, wb_error *err)
{
    size_t most = l->spans.n + l->delegations.n + l->acceptances.n;
    joiner j = {0};
    j.nodes = wb_arena_array(l->arena, most + 1, sizeof *j.nodes);
    j.index = wb_arena_array(l->arena, most + 1, sizeof(wb_tree_node *));
    wb_tree_node **in_order = wb_arena_array(l->arena, most + 1, sizeof(wb_tree_node *));
    if (!j.nodes || !j.index || !in_order)
        return wb_fail(err, WB_ERR_NO_MEMORY, "the trace is too large to show");
    add_spans(l, &j);
    add_delegations(l, &j);
    add_acceptances(l, tree, &j);
    memcpy(in_order, j.index, j.n * sizeof *in_order);
    if (j.n > 0) qsort(in_order, j.n, sizeof *in_order, by_start);
    hang_in(tree, &j, in_order);
    WB_TRY(join_logs(l, &j, tree, err));
    measure(tree, &j);
    tree->n_nodes = j.n;
    tree->acceptances = l->acceptances.items;
    tree->n_acceptances = l->acceptances.n;
    return WB_OK;
}

wb_status wb_tree_load(wb_store *store, const wb_trace_id *trace, wb_time_ns now_ns,
                       wb_arena *arena, wb_tree *tree, wb_error *err)
{
    loader l = {.arena = arena,
                .spans = {.size = sizeof(wb_stored_span)},
                .delegations = {.size = sizeof(wb_stored_delegation)},
                .acceptances = {.size = sizeof(wb_stored_acceptance)},
                .sidecars = {.size = sizeof(wb_stored_sidecar)},
                .logs = {.size = sizeof(wb_stored_log)}};
    *tree = (wb_tree){.now_ns = now_ns};
    WB_TRY(wb_store_begin(store, err));
    wb_status status = load_rows(store, trace, &l, tree, err);
    wb_store_end(store);
    if (status == WB_ERR_NO_MEMORY) return wb_fail(err, status, "the trace is too large to show");
    if (status != WB_OK) return status;
    return join(&l, tree, err);
}

wb_time_ns wb_tree_end(const wb_tree *tree, const wb_tree_node *node)
{
    if (node->span) return node->span->ended_ns;
    if (node->acceptance && node->acceptance->finished_ns) return node->acceptance->finished_ns;
    if (node->delegation && node->delegation->closed_ns) return node->delegation->closed_ns;
    return tree->now_ns;
}

uint64_t wb_tree_duration(const wb_tree *tree, const wb_tree_node *node)
{
    wb_time_ns end = wb_tree_end(tree, node);
    return end >= node->started_ns ? end - node->started_ns : UINT64_MAX;
}
