/* SPDX-License-Identifier: Apache-2.0 */
/* The read queries over a store that the real exporter wrote. */
#include "proto/span_batch.h"
#include "store/sqlite/query.h"
#include "tests/support/store_kit.h"

#include <setjmp.h>
#include <sqlite3.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

typedef struct taken {
    size_t n;
    struct {
        wb_trace_id id;
        char status[16], root[32];
        wb_stored_trace row; /* its slices are gone */
    } traces[32];
} taken;

static wb_status take(void *ctx, const wb_stored_trace *row)
{
    taken *t = ctx;
    t->traces[t->n].id = row->trace_id;
    t->traces[t->n].row = *row;
    (void)snprintf(t->traces[t->n].status, 16, "%.*s", WB_SLICE_ARG(row->status));
    (void)snprintf(t->traces[t->n++].root, 32, "%.*s", WB_SLICE_ARG(row->root_name));
    return WB_OK;
}

static taken traces(store_kit *f, wb_trace_filter filter)
{
    taken t = {0};
    wb_error err = {0};
    if (!f->store) store_kit_open(f);
    if (wb_store_traces(f->store, &filter, take, &t, &err) != WB_OK) fail_msg("%s", err.detail);
    return t;
}

static const char *status_of(store_kit *f, uint32_t trace)
{
    static char status[16];
    taken t = traces(f, (wb_trace_filter){.trace_id = test_trace(trace)});
    assert_int_equal(t.n, 1);
    memcpy(status, t.traces[0].status, sizeof status);
    return status;
}

/* ---- refusals ------------------------------------------------------------------------------- */

static void a_store_that_is_not_there_is_not_found_and_not_made(void **state)
{
    store_kit *f = *state;
    wb_error err = {0};
    assert_int_equal(wb_store_open(f->path, &f->store, &err), WB_ERR_NOT_FOUND);
    assert_int_not_equal(access(f->path, F_OK), 0);
    assert_int_equal(wb_store_open("/dev/null/x", &f->store, &err), WB_ERR_NOT_FOUND);
}

static void a_file_that_is_no_database_is_refused(void **state)
{
    store_kit *f = *state;
    wb_error err = {0};
    FILE *file = fopen(f->path, "w");
    for (int i = 0; i < 2000; i++) (void)fputs("not a database ", file);
    fclose(file);
    assert_int_equal(wb_store_open(f->path, &f->store, &err), WB_ERR_CORRUPT);
    assert_null(f->store);
}

static void a_reader_cannot_write(void **state)
{
    store_kit *f = *state;
    wb_error err = {0};
    WB_AUTO(wb_sqlite) db = NULL;
    store_kit_span(f, (test_span_spec){.trace = 1, .span = 1});
    assert_int_equal(wb_sqlite_open(f->path, WB_SQLITE_READ, 100, &db, &err), WB_OK);
    assert_int_not_equal(wb_sqlite_exec(db, "DELETE FROM spans", &err), WB_OK);
}

static void a_prefix_must_be_hex_and_name_one_trace(void **state)
{
    store_kit *f = *state;
    wb_trace_id id = {{0}};
    wb_error err = {0};
    store_kit_span(f, (test_span_spec){.trace = 0x11, .span = 1});
    store_kit_span(f, (test_span_spec){.trace = 0x12, .span = 2});
    store_kit_open(f);
    static const char *const bad[] = {"", "g", "0x1", " 1", "000000000000000000000000000000110"};
    for (size_t i = 0; i < WB_COUNT(bad); i++)
        assert_int_equal(wb_store_find_trace(f->store, wb_slice_str(bad[i]), &id, &err),
                         WB_ERR_MALFORMED);
    assert_int_equal(wb_store_find_trace(f->store, WB_S("1"), &id, &err), WB_ERR_NOT_FOUND);
    assert_int_equal(wb_store_find_trace(f->store, WB_S("0"), &id, &err), WB_ERR_REJECTED);
    assert_int_equal(
        wb_store_find_trace(f->store, WB_S("0000000000000000000000000000001"), &id, &err),
        WB_ERR_REJECTED);
    wb_trace_id want = test_trace(0x12);
    assert_int_equal(
        wb_store_find_trace(f->store, WB_S("00000000000000000000000000000012"), &id, &err), WB_OK);
    assert_true(WB_ID_EQ(id, want));
}

static void a_prefix_matches_every_length_and_both_cases(void **state)
{
    store_kit *f = *state;
    wb_error err = {0};
    static const char hex[] = "000000000000000000000000ABCDEF12";
    store_kit_span(f, (test_span_spec){.trace = 0xABCDEF12, .span = 1});
    store_kit_open(f);
    for (size_t n = 1; n <= 32; n++) {
        wb_trace_id id = {{0}}, want = test_trace(0xABCDEF12);
        assert_int_equal(wb_store_find_trace(f->store, wb_slice_of(hex, n), &id, &err), WB_OK);
        assert_true(WB_ID_EQ(id, want));
    }
}

static wb_status refuse(void *ctx, const wb_stored_trace *row)
{
    (void)ctx, (void)row;
    return WB_ERR_FULL;
}

static void a_callback_that_fails_ends_the_query(void **state)
{
    store_kit *f = *state;
    wb_error err = {0};
    store_kit_span(f, (test_span_spec){.trace = 1, .span = 1});
    store_kit_open(f);
    assert_int_equal(wb_store_traces(f->store, &(wb_trace_filter){0}, refuse, NULL, &err),
                     WB_ERR_FULL);
}

/* ---- a trace's status ----------------------------------------------------------------------- */

static void the_root_decides_success_and_error(void **state)
{
    store_kit *f = *state;
    store_kit_span(f, (test_span_spec){.trace = 1, .span = 1, .status = WB_SPAN_OK});
    store_kit_span(f,
                   (test_span_spec){.trace = 1, .span = 2, .parent = 1, .status = WB_SPAN_ERROR});
    store_kit_span(f, (test_span_spec){.trace = 2, .span = 3, .status = WB_SPAN_ERROR});
    store_kit_span(
        f, (test_span_spec){
               .trace = 3, .span = 4, .status = WB_SPAN_ERROR, .error_type = "CancelledError"});
    assert_string_equal(status_of(f, 1), "success");
    assert_string_equal(status_of(f, 2), "error");
    assert_string_equal(status_of(f, 3), "cancelled");
}

static void an_open_delegation_means_running_until_it_closes(void **state)
{
    store_kit *f = *state;
    test_delegation_spec d = {.id = 1,
                              .trace = 1,
                              .span = 2,
                              .parent = 1,
                              .version = 1,
                              .state = WB_DELEGATION_SENT,
                              .opened_ms = 5};
    store_kit_span(f, (test_span_spec){.trace = 1, .span = 1, .status = WB_SPAN_OK});
    store_kit_delegation(f, d);
    assert_string_equal(status_of(f, 1), "running");
    d.version = 2, d.state = WB_DELEGATION_COMPLETED, d.closed_ms = 50;
    store_kit_delegation(f, d);
    assert_string_equal(status_of(f, 1), "success");
}

static void without_a_root_a_trace_runs(void **state)
{
    store_kit *f = *state;
    store_kit_span(f, (test_span_spec){.trace = 1, .span = 2, .parent = 1, .status = WB_SPAN_OK});
    assert_string_equal(status_of(f, 1), "running");
}

/* The agent's root span has not ended, its first delegation has: not the delegation decides. */
static void a_delegations_span_is_no_root_of_an_agent_that_still_works(void **state)
{
    store_kit *f = *state;
    store_kit_delegation(f, (test_delegation_spec){.id = 1,
                                                   .trace = 1,
                                                   .span = 2,
                                                   .parent = 1,
                                                   .version = 2,
                                                   .state = WB_DELEGATION_COMPLETED,
                                                   .opened_ms = 1,
                                                   .closed_ms = 9});
    store_kit_span(f, (test_span_spec){.trace = 1, .span = 2, .parent = 1, .delegation = 1});
    store_kit_acceptance(f, (test_acceptance_spec){.id = 5,
                                                   .trace = 1,
                                                   .span = 3,
                                                   .parent = 2,
                                                   .version = 2,
                                                   .verdict = 1,
                                                   .verified = true,
                                                   .outcome = "ok",
                                                   .opened_ms = 2,
                                                   .finished_ms = 8});
    store_kit_span(f, (test_span_spec){.trace = 1, .span = 3, .parent = 2, .acceptance = 5});
    assert_string_equal(status_of(f, 1), "running");
    store_kit_span(f, (test_span_spec){.trace = 1, .span = 1});
    assert_string_equal(status_of(f, 1), "success");
}

/* The caller keeps its spans in another store: the accepted span is all there is to decide by. */
static void an_accepted_span_decides_when_the_caller_is_elsewhere(void **state)
{
    store_kit *f = *state;
    store_kit_acceptance(f, (test_acceptance_spec){.id = 5,
                                                   .trace = 1,
                                                   .span = 3,
                                                   .parent = 2,
                                                   .version = 1,
                                                   .verdict = 1,
                                                   .verified = true,
                                                   .opened_ms = 2});
    assert_string_equal(status_of(f, 1), "running");
    store_kit_span(
        f, (test_span_spec){
               .trace = 1, .span = 3, .parent = 2, .acceptance = 5, .status = WB_SPAN_ERROR});
    assert_string_equal(status_of(f, 1), "error");
}

static void a_canceled_delegation_at_the_root_means_cancelled(void **state)
{
    store_kit *f = *state;
    store_kit_delegation(f, (test_delegation_spec){.id = 1,
                                                   .trace = 1,
                                                   .span = 2,
                                                   .version = 2,
                                                   .state = WB_DELEGATION_CANCELED,
                                                   .opened_ms = 1,
                                                   .closed_ms = 9});
    store_kit_span(
        f, (test_span_spec){.trace = 1, .span = 2, .status = WB_SPAN_ERROR, .delegation = 1});
    assert_string_equal(status_of(f, 1), "cancelled");
}

/* ---- totals and filters --------------------------------------------------------------------- */

static void totals_add_up_over_sidecars_and_count_no_span_twice(void **state)
{
    store_kit *f = *state;
    store_kit_span(
        f, (test_span_spec){
               .trace = 1, .span = 1, .start_ms = 10, .end_ms = 20, .status = WB_SPAN_ERROR});
    store_kit_become(f, 2, "beta");
    store_kit_span(f, (test_span_spec){
                          .trace = 1, .span = 1, .start_ms = 1, .end_ms = 900}); /* already there */
    store_kit_span(
        f, (test_span_spec){.trace = 1, .span = 2, .parent = 1, .start_ms = 5, .end_ms = 40});
    store_kit_delegation(f, (test_delegation_spec){.id = 1,
                                                   .trace = 1,
                                                   .span = 2,
                                                   .version = 1,
                                                   .depth = 2,
                                                   .state = WB_DELEGATION_SENT,
                                                   .opened_ms = 3});
    taken t = traces(f, (wb_trace_filter){0});
    assert_int_equal(t.n, 1);
    const wb_stored_trace *row = &t.traces[0].row;
    assert_int_equal(row->span_count, 2);
    assert_int_equal(row->error_count, 1);
    assert_int_equal(row->sidecar_count, 2);
    assert_int_equal(row->agent_count, 2);
    assert_int_equal(row->delegation_count, 1);
    assert_int_equal(row->open_delegation_count, 1);
    assert_int_equal(row->depth, 3);
    assert_true(row->started_ns == TEST_T0 + 3 * WB_NS_PER_MS);
    assert_true(row->ended_ns == TEST_T0 + 40 * WB_NS_PER_MS);
}

static void filters_select_and_the_newest_come_first(void **state)
{
    store_kit *f = *state;
    for (uint32_t i = 1; i <= 6; i++)
        store_kit_span(f, (test_span_spec){.trace = i,
                                           .span = i,
                                           .start_ms = i * 1000,
                                           .end_ms = i * 1000 + 1,
                                           .status = i % 2 ? WB_SPAN_OK : WB_SPAN_ERROR,
                                           .name = "root"});
    store_kit_become(f, 2, "beta");
    store_kit_span(
        f, (test_span_spec){.trace = 4, .span = 44, .parent = 4, .start_ms = 4000, .end_ms = 4001});
    taken t = traces(f, (wb_trace_filter){0});
    assert_int_equal(t.n, 6);
    assert_int_equal(t.traces[0].id.b[15], 6);
    assert_string_equal(t.traces[0].root, "root");
    t = traces(f, (wb_trace_filter){.limit = 2});
    assert_int_equal(t.n, 2);
    assert_int_equal(t.traces[1].id.b[15], 5);
    t = traces(f, (wb_trace_filter){.since_ns = TEST_T0 + 4000 * WB_NS_PER_MS});
    assert_int_equal(t.n, 3);
    t = traces(f, (wb_trace_filter){.status = WB_S("error"), .limit = 2});
    assert_int_equal(t.n, 2);
    assert_int_equal(t.traces[1].id.b[15], 4);
    t = traces(f, (wb_trace_filter){.agent = WB_S("beta")});
    assert_int_equal(t.n, 1);
    assert_int_equal(t.traces[0].id.b[15], 4);
    t = traces(f, (wb_trace_filter){.agent = WB_S("nobody")});
    assert_int_equal(t.n, 0);
}

static wb_status count_delegation(void *ctx, const wb_stored_delegation *row)
{
    (void)row;
    ++*(size_t *)ctx;
    return WB_OK;
}

static size_t count(store_kit *f, wb_delegation_filter filter)
{
    size_t n = 0;
    wb_error err = {0};
    if (!f->store) store_kit_open(f);
    assert_int_equal(wb_store_delegations(f->store, &filter, count_delegation, &n, &err), WB_OK);
    return n;
}

static int add_steps(unsigned what, void *ctx, void *stmt, void *ns)
{
    (void)what;
    (void)ns;
    *(int *)ctx += sqlite3_stmt_status(stmt, SQLITE_STMTSTATUS_VM_STEP, 0);
    return 0;
}

/* What the database does to find all that is asked of one trace. */
static int steps_for_one_trace(store_kit *f)
{
    int steps = 0;
    wb_trace_id id = test_trace(1);
    if (!f->store) store_kit_open(f);
    sqlite3 *db = wb_sqlite_handle(wb_sqlite_store_of(f->store)->db);
    (void)sqlite3_trace_v2(db, SQLITE_TRACE_PROFILE, add_steps, &steps);
    assert_int_equal(traces(f, (wb_trace_filter){.trace_id = id}).n, 1);
    assert_int_equal(count(f, (wb_delegation_filter){.trace_id = id}), 1);
    (void)sqlite3_trace_v2(db, 0, NULL, NULL);
    assert_true(steps > 0);
    return steps;
}

static void one_trace_costs_the_same_however_many_there_are(void **state)
{
    store_kit *f = *state;
    int alone = 0;
    for (uint32_t i = 1; i <= 100; i++) {
        store_kit_span(f, (test_span_spec){.trace = i, .span = i, .start_ms = i, .end_ms = i + 1});
        store_kit_delegation(f, (test_delegation_spec){.id = i,
                                                       .trace = i,
                                                       .span = 1000 + i,
                                                       .version = 1,
                                                       .state = WB_DELEGATION_COMPLETED,
                                                       .opened_ms = i,
                                                       .closed_ms = i + 1});
        if (i == 1) alone = steps_for_one_trace(f);
    }
    assert_in_range(steps_for_one_trace(f), 1, alone + 20); /* less than one more for each */
}

static void open_delegations_are_found_whenever_they_were_opened(void **state)
{
    store_kit *f = *state;
    for (uint32_t i = 1; i <= 8; i++)
        store_kit_delegation(f, (test_delegation_spec){.id = i,
                                                       .trace = 1 + i / 5,
                                                       .span = i,
                                                       .version = 1,
                                                       .state = i == 2 ? WB_DELEGATION_DETACHED
                                                                       : WB_DELEGATION_FAILED,
                                                       .opened_ms = i * 1000,
                                                       .closed_ms = i == 2 ? 0 : i * 1000 + 5});
    assert_int_equal(count(f, (wb_delegation_filter){0}), 8);
    assert_int_equal(count(f, (wb_delegation_filter){.open_only = true}), 1);
    assert_int_equal(count(f, (wb_delegation_filter){.since_ns = TEST_T0 + 7000 * WB_NS_PER_MS}),
                     3);
    assert_int_equal(count(f, (wb_delegation_filter){.trace_id = test_trace(2)}), 4);
    assert_int_equal(count(f, (wb_delegation_filter){.limit = 3}), 3);
}

static wb_status look_at_delegation(void *ctx, const wb_stored_delegation *row)
{
    wb_id parent = test_id(21);
    (void)ctx;
    assert_true(WB_ID_EQ(row->parent_acceptance, parent));
    assert_true(wb_slice_eq(row->state, WB_S("waiting_input")));
    assert_true(wb_slice_eq(row->target_name, WB_S("writer")));
    assert_true(wb_slice_eq(row->issuer, WB_S("spiffe://me")));
    assert_true(wb_slice_eq(row->chain, WB_S("[\"a.b.c\",\"d\\\"e\"]")));
    assert_true(wb_slice_eq(row->sidecar_name, WB_S("alpha")));
    assert_int_equal(row->token_hash.len, 32);
    assert_int_equal(row->closed_ns, 0);
    assert_int_equal(row->depth, 1);
    assert_int_equal(row->task_state.len, 0);
    return WB_OK;
}

static void a_delegations_columns_come_back(void **state)
{
    store_kit *f = *state;
    static const char *const chain[] = {"a.b.c", "d\"e", NULL};
    wb_error err = {0};
    store_kit_delegation(f, (test_delegation_spec){.id = 1,
                                                   .trace = 1,
                                                   .span = 2,
                                                   .parent_acceptance = 21,
                                                   .version = 1,
                                                   .state = WB_DELEGATION_WAITING_INPUT,
                                                   .target_name = "writer",
                                                   .issuer = "spiffe://me",
                                                   .opened_ms = 1,
                                                   .depth = 1,
                                                   .chain = chain,
                                                   .token_hash = 7});
    store_kit_open(f);
    assert_int_equal(
        wb_store_delegations(f->store, &(wb_delegation_filter){0}, look_at_delegation, NULL, &err),
        WB_OK);
}

static wb_status look_at_acceptance(void *ctx, const wb_stored_acceptance *row)
{
    ++*(size_t *)ctx;
    if (row->acceptance_id.b[15] != 1) return WB_OK;
    assert_true(wb_slice_eq(row->verdict, WB_S("link")));
    assert_true(wb_slice_eq(row->code, WB_S("WB_E_MISSING")));
    assert_true(wb_slice_eq(row->warnings, WB_S("[\"WB_W_X\"]")));
    assert_true(wb_slice_eq(row->chain, WB_S("[]")));
    assert_true(row->pass && !row->verified);
    assert_int_equal(row->link_trace_id.b[15], 9);
    assert_int_equal(row->finished_ns, 0);
    return WB_OK;
}

static void acceptances_of_a_trace_are_its_own_and_those_that_link_to_it(void **state)
{
    store_kit *f = *state;
    size_t n = 0;
    wb_error err = {0};
    wb_trace_id own = test_trace(2), linked = test_trace(9), other = test_trace(3);
    store_kit_acceptance(f, (test_acceptance_spec){.id = 1,
                                                   .trace = 2,
                                                   .span = 1,
                                                   .version = 1,
                                                   .verdict = 2,
                                                   .code = "WB_E_MISSING",
                                                   .warning = "WB_W_X",
                                                   .link_trace = 9,
                                                   .link_span = 4,
                                                   .opened_ms = 1});
    store_kit_acceptance(
        f, (test_acceptance_spec){
               .id = 2, .trace = 9, .span = 2, .version = 1, .verdict = 1, .opened_ms = 2});
    store_kit_open(f);
    assert_int_equal(wb_store_acceptances(f->store, &own, look_at_acceptance, &n, &err), WB_OK);
    assert_int_equal(n, 1);
    assert_int_equal(wb_store_acceptances(f->store, &linked, look_at_acceptance, &n, &err), WB_OK);
    assert_int_equal(n, 3);
    assert_int_equal(wb_store_acceptances(f->store, &other, look_at_acceptance, &n, &err), WB_OK);
    assert_int_equal(n, 3);
}

static wb_status look_at_span(void *ctx, const wb_stored_span *row)
{
    wb_id acceptance_id = test_id(5), delegation_id = test_id(6);
    ++*(size_t *)ctx;
    assert_true(wb_slice_eq(row->kind, WB_S("client")));
    assert_true(wb_slice_eq(row->status, WB_S("error")));
    assert_true(wb_slice_eq(row->status_message, WB_S("why")));
    assert_true(wb_slice_eq(row->service, WB_S("svc")));
    assert_true(wb_slice_eq(row->error_type, WB_S("E")));
    assert_true(WB_ID_EQ(row->acceptance_id, acceptance_id));
    assert_true(WB_ID_EQ(row->delegation_id, delegation_id));
    assert_true(wb_slice_eq(wb_otlp_find_text(row->span, WB_OTLP_SPAN, WB_S("test.note")),
                            WB_S("a \"quoted\" value")));
    assert_true(wb_slice_eq(
        wb_otlp_find_text(row->resource, WB_OTLP_RESOURCE, WB_S("service.name")), WB_S("svc")));
    assert_true(wb_slice_eq(wb_otlp_read_scope(row->scope).name, WB_S("test")));
    return WB_OK;
}

static void a_spans_columns_and_its_otlp_bytes_come_back(void **state)
{
    store_kit *f = *state;
    size_t n = 0;
    wb_error err = {0};
    wb_trace_id trace = test_trace(1);
    for (uint32_t i = 1; i <= 2; i++)
        store_kit_span(f, (test_span_spec){.trace = 1,
                                           .span = i,
                                           .kind = WB_SPAN_CLIENT,
                                           .status = WB_SPAN_ERROR,
                                           .status_message = "why",
                                           .service = "svc",
                                           .error_type = "E",
                                           .acceptance = 5,
                                           .delegation = 6,
                                           .end_ms = 1});
    store_kit_open(f);
    assert_int_equal(wb_store_begin(f->store, &err), WB_OK);
    assert_int_equal(wb_store_spans(f->store, &trace, WB_SPANS_BY_START, look_at_span, &n, &err),
                     WB_OK);
    wb_store_end(f->store);
    assert_int_equal(n, 2);
    int64_t resources = 0;
    WB_AUTO(wb_sqlite) db = NULL;
    assert_int_equal(wb_sqlite_open(f->path, WB_SQLITE_READ, 100, &db, &err), WB_OK);
    assert_int_equal(wb_sqlite_number(db, "SELECT count(*) FROM resources", &resources, &err),
                     WB_OK);
    assert_int_equal(resources, 1);
}

static void reads_between_begin_and_end_see_one_state(void **state)
{
    store_kit *f = *state;
    wb_error err = {0};
    store_kit_span(f, (test_span_spec){.trace = 1, .span = 1});
    assert_int_equal(traces(f, (wb_trace_filter){0}).n, 1);
    assert_int_equal(wb_store_begin(f->store, &err), WB_OK);
    assert_int_equal(traces(f, (wb_trace_filter){0}).n, 1);
    store_kit_span(f, (test_span_spec){.trace = 2, .span = 2});
    assert_int_equal(traces(f, (wb_trace_filter){0}).n, 1);
    wb_store_end(f->store);
    assert_int_equal(traces(f, (wb_trace_filter){0}).n, 2);
}

#define READ_TEST(f) cmocka_unit_test_setup_teardown(f, store_kit_set_up, store_kit_tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        READ_TEST(a_store_that_is_not_there_is_not_found_and_not_made),
        READ_TEST(a_file_that_is_no_database_is_refused),
        READ_TEST(a_reader_cannot_write),
        READ_TEST(a_prefix_must_be_hex_and_name_one_trace),
        READ_TEST(a_prefix_matches_every_length_and_both_cases),
        READ_TEST(a_callback_that_fails_ends_the_query),
        READ_TEST(the_root_decides_success_and_error),
        READ_TEST(an_open_delegation_means_running_until_it_closes),
        READ_TEST(without_a_root_a_trace_runs),
        READ_TEST(a_delegations_span_is_no_root_of_an_agent_that_still_works),
        READ_TEST(an_accepted_span_decides_when_the_caller_is_elsewhere),
        READ_TEST(a_canceled_delegation_at_the_root_means_cancelled),
        READ_TEST(totals_add_up_over_sidecars_and_count_no_span_twice),
        READ_TEST(filters_select_and_the_newest_come_first),
        READ_TEST(one_trace_costs_the_same_however_many_there_are),
        READ_TEST(open_delegations_are_found_whenever_they_were_opened),
        READ_TEST(a_delegations_columns_come_back),
        READ_TEST(acceptances_of_a_trace_are_its_own_and_those_that_link_to_it),
        READ_TEST(a_spans_columns_and_its_otlp_bytes_come_back),
        READ_TEST(reads_between_begin_and_end_see_one_state),
    };
    return cmocka_run_group_tests_name("store reads", tests, NULL, NULL);
}
