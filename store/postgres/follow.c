/* SPDX-License-Identifier: Apache-2.0 */
/* What arrived since the last look, where many write at once.
 *
 * A sequence says nothing here: a transaction that took its numbers early may commit late, and a reader
 * that went on to higher numbers would never see it. But each journal is delivered by one transaction
 * after the other, in the journal's order, and each of them moves the journal's row in `delivered`. So the
 * place is kept for each journal: (seq, entry) of the last record that was handed out; and in one snapshot
 * (REPEATABLE READ) all rows of a journal up to its row in `delivered` are there, and none beyond. Nothing
 * is missed and nothing is read twice, whatever the order of commits. The same place serves delegations and
 * acceptances, whose rows carry the record that changed them last.
 *
 *  - Asking whether anything changed is a sum over `delivered`: one row a journal.
 *  - Spans of several journals are handed out in the order of span_row, which is that of arrival but for
 *    transactions that ran at the same time.
 *  - A reading that a callback ended leaves a floor: of the rows up to `mark`, those with a span_row up to
 *    `floor_row` were handed out. From-now with the last N spans is the same.
 *  - Another database in this one's place: the places are by journal, so what it has of the same records is
 *    not handed out again. */
#include "core/buffer.h"
#include "store/postgres/query.h"

#include <stdio.h>
#include <stdlib.h>

enum { SOURCES_MAX = 1 << 20 };

typedef struct place {
    int64_t seq;
    int64_t entry;
} place;

static const place nowhere = {0, -1};

/* What only grows. */
enum { SPANS, LOGS, STREAMS };

typedef struct stream {
    place at;   /* handed out */
    place mark; /* up to here: those at or below the floor, too */
} stream;

typedef struct source {
    wb_id journal_id;
    int64_t sidecar_id; /* in the store at hand; 0: not there */
    place delivered;    /* in the snapshot at hand */
    stream streams[STREAMS];
    place delegations, acceptances;
} source;

typedef struct follower {
    source *sources;
    size_t n, cap;
    int64_t floor_row[STREAMS];
} follower;

static bool is_before(place a, place b)
{
    return a.seq < b.seq || (a.seq == b.seq && a.entry < b.entry);
}

void *wb_pg_follow_new(void) { return calloc(1, sizeof(follower)); }

void wb_pg_follow_free(void *self)
{
    follower *f = self;
    if (!f) return;
    free(f->sources);
    free(f);
}

void wb_pg_follow_reopened(void *self)
{
    follower *f = self;
    for (size_t i = 0; i < f->n; i++) f->sources[i].sidecar_id = 0;
}

wb_status wb_pg_changed(wb_store *base, bool *changed, wb_error *err)
{
    wb_pg_store *store = wb_pg_store_of(base);
    WB_AUTO(wb_pg_result) result = NULL;
    wb_pg_set_timeout(store->pg, WB_PG_READ_MS);
    WB_TRY(wb_pg_query(store->pg,
                       "SELECT count(*), coalesce(sum(seq), 0)::bigint,"
                       " coalesce(sum(entry), 0)::bigint FROM waybill.delivered",
                       NULL, &result, err));
    *changed = !store->is_seen;
    store->is_seen = true;
    for (int i = 0; i < 3; i++) {
        int64_t now = wb_pg_number(result, 0, i);
        *changed |= now != store->seen[i];
        store->seen[i] = now;
    }
    return WB_OK;
}

/* ---- journals ------------------------------------------------------------------------------- */

static source *find_source(follower *f, const wb_id *journal_id, size_t at)
{
    if (at < f->n && WB_ID_EQ(f->sources[at].journal_id, *journal_id)) return &f->sources[at];
    for (size_t i = 0; i < f->n; i++)
        if (WB_ID_EQ(f->sources[i].journal_id, *journal_id)) return &f->sources[i];
    return NULL;
}

static source *add_source(follower *f, const wb_id *journal_id)
{
    if (f->n == f->cap) {
        size_t cap = f->cap ? f->cap * 2 : 16;
        source *grown = cap <= SOURCES_MAX ? reallocarray(f->sources, cap, sizeof *grown) : NULL;
        if (!grown) return NULL;
        f->sources = grown;
        f->cap = cap;
    }
    f->sources[f->n] = (source){.journal_id = *journal_id,
                                .streams = {{nowhere, nowhere}, {nowhere, nowhere}},
                                .delegations = nowhere,
                                .acceptances = nowhere};
    return &f->sources[f->n++];
}

typedef struct source_taker {
    follower *f;
    size_t at;
    wb_error *err;
} source_taker;

static wb_status take_source(void *ctx, const wb_pg_result *result)
{
    source_taker *t = ctx;
    wb_columns c = wb_pg_columns(result);
    wb_id journal_id;
    int64_t sidecar_id = (int64_t)wb_take_number(&c);
    WB_TAKE_ID(&c, journal_id);
    source *s = find_source(t->f, &journal_id, t->at++);
    if (!s) s = add_source(t->f, &journal_id);
    if (!s) return wb_fail(t->err, WB_ERR_NO_MEMORY, "store: no memory to follow it");
    s->sidecar_id = sidecar_id;
    s->delivered.seq = (int64_t)wb_take_number(&c);
    s->delivered.entry = (int64_t)wb_take_number(&c);
    return WB_OK;
}

static wb_status load_sources(follower *f, wb_store *store, wb_error *err)
{
    source_taker taker = {f, 0, err};
    for (size_t i = 0; i < f->n; i++) f->sources[i].sidecar_id = 0;
    return wb_pg_read_each(store,
                           "SELECT w.sidecar_id, w.journal_id, d.seq, d.entry"
                           " FROM waybill.sidecars w JOIN waybill.delivered d USING (journal_id)"
                           " ORDER BY w.sidecar_id",
                           NULL, take_source, &taker, err);
}

/* ---- rows that are replaced ----------------------------------------------------------------- */

typedef struct change_taker {
    const wb_arrivals *take;
    void *ctx;
    place *at;
} change_taker;

/* The record stands behind the columns that a row is read from. */
static void note_place(const wb_pg_result *result, int seq_column, place *at)
{
    *at = (place){wb_pg_number(result, 0, seq_column), wb_pg_number(result, 0, seq_column + 1)};
}

enum { DELEGATION_PLACE = 40, ACCEPTANCE_PLACE = 36 };

static wb_status take_delegation(void *ctx, const wb_pg_result *result)
{
    change_taker *t = ctx;
    wb_stored_delegation row = wb_read_delegation(wb_pg_columns(result));
    note_place(result, DELEGATION_PLACE, t->at);
    return t->take->delegation ? t->take->delegation(t->ctx, &row) : WB_OK;
}

static wb_status take_acceptance(void *ctx, const wb_pg_result *result)
{
    change_taker *t = ctx;
    wb_stored_acceptance row = wb_read_acceptance(wb_pg_columns(result));
    note_place(result, ACCEPTANCE_PLACE, t->at);
    return t->take->acceptance ? t->take->acceptance(t->ctx, &row) : WB_OK;
}

static wb_status read_channel(wb_store *store, const source *s, const char *sql, place *at,
                              wb_status (*each)(void *ctx, const wb_pg_result *row),
                              const wb_arrivals *take, void *ctx, wb_error *err)
{
    wb_pg_params p = {0};
    change_taker taker = {take, ctx, at};
    wb_pg_add_number(&p, s->sidecar_id);
    wb_pg_add_number(&p, at->seq);
    wb_pg_add_number(&p, at->entry);
    WB_TRY(wb_pg_read_each(store, sql, &p, each, &taker, err));
    *at = s->delivered;
    return WB_OK;
}

#define BEHIND                                                                                     \
    " WHERE sidecar_id = $1 AND (seq, entry) > ($2, $3)) x ORDER BY place_seq, place_entry"
#define PLACED ", seq AS place_seq, entry AS place_entry"

static wb_status read_changes(follower *f, wb_store *store, const wb_arrivals *take, void *ctx,
                              wb_error *err)
{
    static const char delegations[] = "SELECT * FROM (SELECT " WB_DELEGATION_COLUMNS("waybill.")
        PLACED " FROM waybill.delegations d" BEHIND;
    static const char acceptances[] = "SELECT * FROM (SELECT " WB_ACCEPTANCE_COLUMNS("waybill.")
        PLACED " FROM waybill.acceptances a" BEHIND;
    for (size_t i = 0; i < f->n; i++) {
        source *s = &f->sources[i];
        if (s->sidecar_id == 0) continue;
        if (is_before(s->delegations, s->delivered))
            WB_TRY(read_channel(store, s, delegations, &s->delegations, take_delegation, take, ctx,
                                err));
        if (is_before(s->acceptances, s->delivered))
            WB_TRY(read_channel(store, s, acceptances, &s->acceptances, take_acceptance, take, ctx,
                                err));
    }
    return WB_OK;
}

/* ---- spans and log records ------------------------------------------------------------------ */

/* As lists of numbers, for unnest: the journals that have something new, and their places. */
static wb_status list_places(const follower *f, int which, wb_buffer lists[3], wb_error *err)
{
    for (size_t i = 0; i < f->n; i++) {
        const source *s = &f->sources[i];
        place at = s->streams[which].at;
        int64_t numbers[3] = {s->sidecar_id, at.seq, at.entry};
        if (s->sidecar_id == 0 || !is_before(at, s->delivered)) continue;
        for (size_t k = 0; k < 3; k++)
            if (wb_buffer_printf(&lists[k], lists[k].len ? ",%lld" : "%lld",
                                 (long long)numbers[k]) != WB_OK)
                return wb_fail(err, WB_ERR_NO_MEMORY, "store: no memory to follow it");
    }
    return WB_OK;
}

typedef struct stream_taker {
    follower *f;
    const wb_arrivals *take;
    void *ctx;
    int which;
    const source *source; /* of the last row */
    int64_t last_row;
} stream_taker;

static source *source_of(follower *f, int64_t sidecar_id)
{
    for (size_t i = 0; i < f->n; i++)
        if (f->sources[i].sidecar_id == sidecar_id) return &f->sources[i];
    return NULL;
}

/* Was it handed out? Else it is now. */
static bool is_old(stream_taker *t, uint64_t sidecar_id, uint64_t row, place at)
{
    if (!t->source || t->source->sidecar_id != (int64_t)sidecar_id)
        t->source = source_of(t->f, (int64_t)sidecar_id);
    if (t->source && (int64_t)row <= t->f->floor_row[t->which] &&
        !is_before(t->source->streams[t->which].mark, at))
        return true;
    t->last_row = (int64_t)row;
    return false;
}

enum { SPAN_ENTRY = 25 };

static wb_status take_span(void *ctx, const wb_pg_result *result)
{
    stream_taker *t = ctx;
    wb_stored_span row = wb_read_span(wb_pg_columns(result));
    place at = {(int64_t)row.seq, wb_pg_number(result, 0, SPAN_ENTRY)};
    if (is_old(t, row.sidecar_id, row.span_row, at) || !t->take->span) return WB_OK;
    return t->take->span(t->ctx, &row);
}

static wb_status take_log(void *ctx, const wb_pg_result *result)
{
    stream_taker *t = ctx;
    wb_stored_log row = wb_read_log(wb_pg_columns(result));
    place at = {(int64_t)row.seq, (int64_t)row.entry};
    if (is_old(t, row.sidecar_id, row.log_row, at) || !t->take->log) return WB_OK;
    return t->take->log(t->ctx, &row);
}

/* All up to here was handed out; or, when a callback ended it, what lies at or below its row. */
static void settle(follower *f, int which, bool is_complete, int64_t last_row)
{
    f->floor_row[which] = is_complete ? 0 : last_row;
    for (size_t i = 0; i < f->n; i++) {
        source *s = &f->sources[i];
        stream *one = &s->streams[which];
        if (s->sidecar_id == 0 || is_before(s->delivered, one->at)) continue;
        one->mark = s->delivered;
        if (is_complete) one->at = s->delivered;
    }
}

#define BEHIND_PLACES(alias)                                                                       \
    " JOIN unnest(string_to_array($1, ',')::bigint[], string_to_array($2, ',')::bigint[],"         \
    " string_to_array($3, ',')::integer[]) AS p(of_sidecar, after_seq, after_entry)"               \
    " ON " alias ".sidecar_id = p.of_sidecar AND (" alias ".seq, " alias                           \
    ".entry) > (p.after_seq, p.after_entry)"

static wb_status read_listed(follower *f, wb_store *store, int which, const wb_buffer lists[3],
                             const wb_arrivals *take, void *ctx, wb_error *err)
{
    static const char spans[] = "SELECT " WB_SPAN_HEAD ", s.entry" WB_SPAN_FROM("waybill.")
        BEHIND_PLACES("s") " ORDER BY span_row";
    static const char logs[] =
        "SELECT " WB_LOG_COLUMNS("waybill.") BEHIND_PLACES("l") " ORDER BY log_row";
    wb_pg_params p = {0};
    stream_taker taker = {
        .f = f, .take = take, .ctx = ctx, .which = which, .last_row = f->floor_row[which]};
    for (size_t k = 0; k < 3; k++) wb_pg_add_text(&p, wb_buffer_slice(&lists[k]));
    wb_status status = wb_pg_read_each(store, which == SPANS ? spans : logs, &p,
                                       which == SPANS ? take_span : take_log, &taker, err);
    settle(f, which, status == WB_OK, taker.last_row);
    return status;
}

static wb_status read_stream(follower *f, wb_store *store, int which, const wb_arrivals *take,
                             void *ctx, wb_error *err)
{
    wb_buffer lists[3];
    for (size_t k = 0; k < 3; k++) wb_buffer_init(&lists[k], (size_t)SOURCES_MAX * 24);
    wb_status status = list_places(f, which, lists, err);
    if (status == WB_OK && lists[0].len > 0)
        status = read_listed(f, store, which, lists, take, ctx, err);
    for (size_t k = 0; k < 3; k++) wb_buffer_done(&lists[k]);
    return status;
}

static wb_status read_all(follower *f, wb_store *store, const wb_arrivals *take, void *ctx,
                          wb_error *err)
{
    WB_TRY(load_sources(f, store, err));
    WB_TRY(read_changes(f, store, take, ctx, err));
    WB_TRY(read_stream(f, store, SPANS, take, ctx, err));
    return read_stream(f, store, LOGS, take, ctx, err);
}

wb_status wb_pg_follow_read(void *self, wb_store *store, const wb_arrivals *take, void *ctx,
                            wb_error *err)
{
    WB_TRY(store->ops->begin(store, err));
    wb_status status = read_all(self, store, take, ctx, err);
    store->ops->end(store);
    return status;
}

/* ---- from now on ---------------------------------------------------------------------------- */

/* One of the last spans: its journal's place goes back before it. */
static wb_status take_last(void *ctx, const wb_pg_result *result)
{
    follower *f = ctx;
    int64_t sidecar_id = wb_pg_number(result, 0, 0), row = wb_pg_number(result, 0, 3);
    place before = {wb_pg_number(result, 0, 1), wb_pg_number(result, 0, 2) - 1};
    source *s = source_of(f, sidecar_id);
    if (s && is_before(before, s->streams[SPANS].at)) s->streams[SPANS].at = before;
    if (row - 1 < f->floor_row[SPANS]) f->floor_row[SPANS] = row - 1;
    return WB_OK;
}

static wb_status skip_all(follower *f, wb_store *store, uint32_t last_spans, wb_error *err)
{
    wb_pg_params p = {0};
    WB_TRY(load_sources(f, store, err));
    for (size_t i = 0; i < f->n; i++) {
        source *s = &f->sources[i];
        s->delegations = s->acceptances = s->delivered;
        for (int which = 0; which < STREAMS; which++)
            s->streams[which] = (stream){s->delivered, s->delivered};
    }
    f->floor_row[SPANS] = f->floor_row[LOGS] = INT64_MAX;
    if (last_spans == 0) return WB_OK;
    wb_pg_add_number(&p, last_spans);
    return wb_pg_read_each(
        store,
        "SELECT s.sidecar_id, s.seq, s.entry, s.span_row FROM waybill.sidecars w"
        " CROSS JOIN LATERAL (SELECT x.sidecar_id, x.seq, x.entry, x.span_row FROM waybill.spans x"
        "  WHERE x.sidecar_id = w.sidecar_id"
        "  ORDER BY x.seq DESC, x.entry DESC, x.span_row DESC LIMIT $1) s"
        " ORDER BY s.span_row DESC LIMIT $1",
        &p, take_last, f, err);
}

wb_status wb_pg_follow_from_now(void *self, wb_store *store, uint32_t last_spans, wb_error *err)
{
    WB_TRY(store->ops->begin(store, err));
    wb_status status = skip_all(self, store, last_spans, err);
    store->ops->end(store);
    return status;
}
