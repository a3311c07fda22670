/* SPDX-License-Identifier: Apache-2.0 */
/* What arrived since the last look: nothing missed, nothing twice, in the order of arrival and not of
 * the times that senders wrote.
 *
 * - Asking whether anything changed is PRAGMA data_version: a look at the WAL's index in shared memory
 *   under a momentary read lock, and no table. It changes when another connection commits.
 * - Spans: rows are only ever added, and SQLite has one writer at a time, so a later commit has higher
 *   span_rows: the highest one handed out is the place. A span that arrives an hour late is new.
 * - Log records: the same, by log_row.
 * - Delegations and acceptances: rows are replaced, so a place in the table says nothing. But a row
 *   keeps the frame of its sidecar's journal that changed it last (seq), and a journal is delivered in
 *   the order of its frames. The place is, for each journal, the highest seq handed out; since a frame
 *   may be spread over two transactions, rows of that very frame are asked for again, and those whose
 *   id and version were handed out are left out. A frame bounds how many that are.
 *   Versions that came and went between two looks are not seen: a row shows what is.
 * - Another file in the store's place: sidecars write there what the old one did not get. So it is read
 *   from its first row, and spans of a journal's frames up to the last one handed out are left out: a
 *   copy of the old file shows nothing twice. If the file was replaced between two halves of one frame,
 *   the second half's spans are left out too.
 * - If the highest span_row is lower than the place, rows were removed by hand, and the same is done.
 * All of one reading happens in one read transaction. */
#include "store/sqlite/query.h"

#include <sqlite3.h>
#include <stdlib.h>

enum { SOURCES_MAX = 1 << 20, KNOWN_MAX = 1 << 16 };

typedef struct known_row {
    wb_id id;
    uint64_t version;
} known_row;

/* The rows of one kind from one journal. */
typedef struct channel {
    uint64_t seq;
    known_row *known; /* handed out, of this very frame */
    size_t n_known, cap;
} channel;

typedef struct source {
    wb_id journal_id;
    uint64_t sidecar_id;               /* in the store at hand; 0: not there */
    uint64_t span_seq, span_seq_known; /* handed out; to be left out */
    uint64_t log_seq, log_seq_known;   /* the same of log records */
    channel delegations, acceptances;
} source;

typedef struct follower {
    source *sources;
    size_t n_sources, cap;
    uint64_t span_row, log_row;
} follower;

void *wb_sqlite_follow_new(void) { return calloc(1, sizeof(follower)); }

void wb_sqlite_follow_free(void *self)
{
    follower *follow = self;
    if (!follow) return;
    for (size_t i = 0; i < follow->n_sources; i++) {
        free(follow->sources[i].delegations.known);
        free(follow->sources[i].acceptances.known);
    }
    free(follow->sources);
    free(follow);
}

void wb_sqlite_follow_reopened(void *self)
{
    follower *follow = self;
    follow->span_row = follow->log_row = 0;
    for (size_t i = 0; i < follow->n_sources; i++) {
        follow->sources[i].sidecar_id = 0;
        follow->sources[i].span_seq_known = follow->sources[i].span_seq;
        follow->sources[i].log_seq_known = follow->sources[i].log_seq;
    }
}

wb_status wb_sqlite_changed(wb_store *base, bool *changed, wb_error *err)
{
    wb_sqlite_store *store = wb_sqlite_store_of(base);
    int64_t version;
    WB_TRY(wb_sqlite_check_place(store->db, err));
    wb_sqlite_set_wait(store->db, WB_QUERY_WAIT_MS);
    WB_TRY(wb_sqlite_number(store->db, "PRAGMA data_version", &version, err));
    *changed = version != store->data_version;
    store->data_version = version;
    return WB_OK;
}

/* ---- journals ------------------------------------------------------------------------------- */

/* A larger array of at most `most` items in place of *items; false when memory is out. */
static bool grow(void **items, size_t *cap, size_t size, size_t most)
{
    size_t more = *cap ? *cap * 2 : 16;
    if (*cap >= most) return false;
    void *grown = reallocarray(*items, more, size);
    if (!grown) return false;
    *items = grown;
    *cap = more;
    return true;
}

/* The journal that is `at` in the store's order is most often `at` in ours. */
static source *find_source(follower *follow, const wb_id *journal_id, size_t at)
{
    if (at < follow->n_sources && WB_ID_EQ(follow->sources[at].journal_id, *journal_id))
        return &follow->sources[at];
    for (size_t i = 0; i < follow->n_sources; i++)
        if (WB_ID_EQ(follow->sources[i].journal_id, *journal_id)) return &follow->sources[i];
    return NULL;
}

static source *add_source(follower *follow, const wb_id *journal_id)
{
    if (follow->n_sources == follow->cap &&
        !grow((void **)&follow->sources, &follow->cap, sizeof *follow->sources, SOURCES_MAX))
        return NULL;
    source *s = &follow->sources[follow->n_sources++];
    *s = (source){.journal_id = *journal_id};
    return s;
}

/* Know every journal of the store. With `skip`, all that was delivered counts as handed out. */
static wb_status load_sources(follower *follow, wb_sqlite_store *store, bool skip, wb_error *err)
{
    sqlite3_stmt *stmt = NULL;
    WB_TRY(wb_query_prepare(store,
                            "SELECT sidecar_id, journal_id, coalesce(d.seq, 0) FROM sidecars"
                            " LEFT JOIN delivered d USING (journal_id) ORDER BY sidecar_id",
                            &stmt, err));
    wb_status status = WB_OK;
    for (size_t at = 0; wb_query_step(store, stmt, &status, err); at++) {
        wb_columns c = wb_query_columns(stmt);
        wb_id journal_id;
        uint64_t sidecar_id = wb_take_number(&c);
        WB_TAKE_ID(&c, journal_id);
        uint64_t delivered = wb_take_number(&c);
        source *s = find_source(follow, &journal_id, at);
        if (!s) s = add_source(follow, &journal_id);
        if (!s) {
            status = wb_fail(err, WB_ERR_NO_MEMORY, "store: no memory to follow it");
            break;
        }
        s->sidecar_id = sidecar_id;
        if (skip) s->span_seq = s->log_seq = s->delegations.seq = s->acceptances.seq = delivered;
    }
    (void)sqlite3_finalize(stmt); /* repeats the step's code */
    return status;
}

/* ---- rows that are replaced ----------------------------------------------------------------- */

/* True if this version was handed out before; else it is noted as such. */
static wb_status note(channel *ch, uint64_t seq, const wb_id *id, uint64_t version, bool *known,
                      wb_error *err)
{
    *known = false;
    if (seq > ch->seq) {
        ch->seq = seq;
        ch->n_known = 0;
    }
    for (size_t i = 0; i < ch->n_known && !*known; i++)
        *known = ch->known[i].version == version && WB_ID_EQ(ch->known[i].id, *id);
    if (*known) return WB_OK;
    if (ch->n_known == ch->cap &&
        !grow((void **)&ch->known, &ch->cap, sizeof *ch->known, KNOWN_MAX))
        return wb_fail(err, WB_ERR_NO_MEMORY, "store: no memory to follow it");
    ch->known[ch->n_known++] = (known_row){*id, version};
    return WB_OK;
}

static void bind_place(sqlite3_stmt *stmt, const source *s, const channel *ch)
{
    (void)sqlite3_bind_int64(stmt, 1, (int64_t)s->sidecar_id);
    (void)sqlite3_bind_int64(stmt, 2, (int64_t)ch->seq);
}

static wb_status read_delegations(wb_sqlite_store *store, sqlite3_stmt *stmt, source *s,
                                  const wb_arrivals *take, void *ctx, wb_error *err)
{
    wb_status status = WB_OK;
    bind_place(stmt, s, &s->delegations);
    while (wb_query_step(store, stmt, &status, err)) {
        wb_stored_delegation row = wb_read_delegation(wb_query_columns(stmt));
        bool known;
        status = note(&s->delegations, row.seq, &row.delegation_id, row.version, &known, err);
        if (status == WB_OK && !known && take->delegation) status = take->delegation(ctx, &row);
    }
    (void)sqlite3_reset(stmt); /* repeats the step's code */
    return status;
}

static wb_status read_acceptances(wb_sqlite_store *store, sqlite3_stmt *stmt, source *s,
                                  const wb_arrivals *take, void *ctx, wb_error *err)
{
    wb_status status = WB_OK;
    bind_place(stmt, s, &s->acceptances);
    while (wb_query_step(store, stmt, &status, err)) {
        wb_stored_acceptance row = wb_read_acceptance(wb_query_columns(stmt));
        bool known;
        status = note(&s->acceptances, row.seq, &row.acceptance_id, row.version, &known, err);
        if (status == WB_OK && !known && take->acceptance) status = take->acceptance(ctx, &row);
    }
    (void)sqlite3_reset(stmt); /* repeats the step's code */
    return status;
}

typedef wb_status channel_reader(wb_sqlite_store *store, sqlite3_stmt *stmt, source *s,
                                 const wb_arrivals *take, void *ctx, wb_error *err);

static wb_status read_channels(follower *follow, wb_sqlite_store *store, const char *sql,
                               channel_reader *read, const wb_arrivals *take, void *ctx,
                               wb_error *err)
{
    sqlite3_stmt *stmt = NULL;
    WB_TRY(wb_query_prepare(store, sql, &stmt, err));
    wb_status status = WB_OK;
    for (size_t i = 0; i < follow->n_sources && status == WB_OK; i++)
        if (follow->sources[i].sidecar_id != 0)
            status = read(store, stmt, &follow->sources[i], take, ctx, err);
    (void)sqlite3_finalize(stmt); /* repeats the step's code */
    return status;
}

static wb_status read_changes(follower *follow, wb_sqlite_store *store, const wb_arrivals *take,
                              void *ctx, wb_error *err)
{
    WB_TRY(read_channels(
        follow, store,
        "SELECT " WB_DELEGATION_COLUMNS("") " FROM delegations d"
                                            " WHERE d.sidecar_id = ? AND seq >= ? ORDER BY seq",
        read_delegations, take, ctx, err));
    return read_channels(
        follow, store,
        "SELECT " WB_ACCEPTANCE_COLUMNS("") " FROM acceptances a"
                                            " WHERE a.sidecar_id = ? AND seq >= ? ORDER BY seq",
        read_acceptances, take, ctx, err);
}

/* ---- spans ---------------------------------------------------------------------------------- */

static source *source_of(follower *follow, uint64_t sidecar_id)
{
    for (size_t i = 0; i < follow->n_sources; i++)
        if (follow->sources[i].sidecar_id == sidecar_id) return &follow->sources[i];
    return NULL;
}

static wb_status read_spans(follower *follow, wb_sqlite_store *store, const wb_arrivals *take,
                            void *ctx, wb_error *err)
{
    sqlite3_stmt *stmt = NULL;
    WB_TRY(wb_query_prepare(
        store, "SELECT " WB_SPAN_COLUMNS("") " WHERE span_row > ? ORDER BY span_row", &stmt, err));
    (void)sqlite3_bind_int64(stmt, 1, (int64_t)follow->span_row);
    wb_status status = WB_OK;
    source *s = NULL;
    while (wb_query_step(store, stmt, &status, err)) {
        wb_stored_span row = wb_read_span(wb_query_columns(stmt));
        follow->span_row = row.span_row;
        if (!s || s->sidecar_id != row.sidecar_id) s = source_of(follow, row.sidecar_id);
        if (s && row.seq <= s->span_seq_known) continue;
        if (s && row.seq > s->span_seq) s->span_seq = row.seq;
        if (take->span) status = take->span(ctx, &row);
    }
    (void)sqlite3_finalize(stmt); /* repeats the step's code */
    return status;
}

static wb_status read_logs(follower *follow, wb_sqlite_store *store, const wb_arrivals *take,
                           void *ctx, wb_error *err)
{
    sqlite3_stmt *stmt = NULL;
    WB_TRY(wb_query_prepare(
        store, "SELECT " WB_LOG_COLUMNS("") " WHERE log_row > ? ORDER BY log_row", &stmt, err));
    (void)sqlite3_bind_int64(stmt, 1, (int64_t)follow->log_row);
    wb_status status = WB_OK;
    source *s = NULL;
    while (wb_query_step(store, stmt, &status, err)) {
        wb_stored_log row = wb_read_log(wb_query_columns(stmt));
        follow->log_row = row.log_row;
        if (!s || s->sidecar_id != row.sidecar_id) s = source_of(follow, row.sidecar_id);
        if (s && row.seq <= s->log_seq_known) continue;
        if (s && row.seq > s->log_seq) s->log_seq = row.seq;
        if (take->log) status = take->log(ctx, &row);
    }
    (void)sqlite3_finalize(stmt); /* repeats the step's code */
    return status;
}

static wb_status last_row(wb_sqlite_store *store, const char *sql, uint64_t *row, wb_error *err)
{
    int64_t last;
    WB_TRY(wb_sqlite_number(store->db, sql, &last, err));
    *row = (uint64_t)last;
    return WB_OK;
}

#define LAST_SPAN "SELECT coalesce(max(span_row), 0) FROM spans"
#define LAST_LOG "SELECT coalesce(max(log_row), 0) FROM logs"

static wb_status read_all(follower *follow, wb_sqlite_store *store, const wb_arrivals *take,
                          void *ctx, wb_error *err)
{
    uint64_t span, log;
    WB_TRY(last_row(store, LAST_SPAN, &span, err));
    WB_TRY(last_row(store, LAST_LOG, &log, err));
    if (span < follow->span_row || log < follow->log_row) wb_sqlite_follow_reopened(follow);
    WB_TRY(load_sources(follow, store, false, err));
    WB_TRY(read_changes(follow, store, take, ctx, err));
    WB_TRY(read_spans(follow, store, take, ctx, err));
    return read_logs(follow, store, take, ctx, err);
}

wb_status wb_sqlite_follow_read(void *follow, wb_store *store, const wb_arrivals *take, void *ctx,
                                wb_error *err)
{
    WB_TRY(wb_store_begin(store, err));
    wb_status status = read_all(follow, wb_sqlite_store_of(store), take, ctx, err);
    wb_store_end(store);
    return status;
}

/* ---- from now on ---------------------------------------------------------------------------- */

/* The row behind which the last `n` spans are. */
static wb_status find_last(wb_sqlite_store *store, uint32_t n, uint64_t *row, wb_error *err)
{
    sqlite3_stmt *stmt = NULL;
    WB_TRY(wb_query_prepare(
        store, "SELECT span_row FROM spans ORDER BY span_row DESC LIMIT 1 OFFSET ?", &stmt, err));
    (void)sqlite3_bind_int64(stmt, 1, n);
    wb_status status = WB_OK;
    wb_columns c = wb_query_columns(stmt);
    *row = wb_query_step(store, stmt, &status, err) ? wb_take_number(&c) : 0;
    (void)sqlite3_finalize(stmt); /* repeats the step's code */
    return status;
}

static wb_status skip_all(follower *follow, wb_sqlite_store *store, uint32_t last_spans,
                          wb_error *err)
{
    static const wb_arrivals nobody;
    WB_TRY(find_last(store, last_spans, &follow->span_row, err));
    WB_TRY(last_row(store, LAST_LOG, &follow->log_row, err));
    WB_TRY(load_sources(follow, store, true, err));
    return read_changes(follow, store, &nobody, NULL, err);
}

wb_status wb_sqlite_follow_from_now(void *follow, wb_store *store, uint32_t last_spans,
                                    wb_error *err)
{
    WB_TRY(wb_store_begin(store, err));
    wb_status status = skip_all(follow, wb_sqlite_store_of(store), last_spans, err);
    wb_store_end(store);
    return status;
}
