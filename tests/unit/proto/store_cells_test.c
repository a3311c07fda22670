/* SPDX-License-Identifier: Apache-2.0 */
#include "proto/store_cells.h"

#include "tests/support/records.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define CELL_NAME(name, type) #name,
static const char *const span_names[] = {WB_SPAN_CELLS(CELL_NAME)};
static const char *const log_names[] = {WB_LOG_CELLS(CELL_NAME)};
static const char *const delegation_names[] = {WB_DELEGATION_CELLS(CELL_NAME)};
static const char *const acceptance_names[] = {WB_ACCEPTANCE_CELLS(CELL_NAME)};

static const wb_cell *cell(const wb_cells *cells, const char *const *names, const char *name)
{
    for (size_t i = 0; i < cells->n; i++)
        if (strcmp(names[i], name) == 0) return &cells->of[i];
    fail_msg("no cell %s", name);
    return NULL;
}

static void is_text(const wb_cell *c, const char *text)
{
    assert_int_equal(c->type, text ? WB_CELL_TEXT : WB_CELL_NULL);
    if (text) assert_true(wb_slice_eq(c->bytes, wb_slice_str(text)));
}

static void is_number(const wb_cell *c, int64_t number)
{
    assert_int_equal(c->type, WB_CELL_NUMBER);
    assert_int_equal(c->number, number);
}

/* ---- what is no row ------------------------------------------------------------------------- */

static void what_is_no_row_is_rejected(void **state)
{
    wb_cells cells;
    wb_error err = {0};
    WB_AUTO(wb_arena) arena = wb_arena_new(1 << 20);
    static const wb_slice bad[] = {{(const uint8_t *)"\xFF\xFF\xFF", 3}, {NULL, 0}};
    (void)state;
    if (!arena) return; /* no memory */
    for (size_t i = 0; i < WB_COUNT(bad); i++) {
        wb_status status = wb_cells_of_delegation(bad[i], arena, &cells, &err);
        assert_true(status == WB_ERR_REJECTED || status == WB_ERR_NO_MEMORY);
        status = wb_cells_of_acceptance(bad[i], arena, &cells, &err);
        assert_true(status == WB_ERR_REJECTED || status == WB_ERR_NO_MEMORY);
    }
}

/* ---- rows ----------------------------------------------------------------------------------- */

static void a_span_has_what_queries_filter_by(void **state)
{
    wb_cells cells;
    wb_error err = {0};
    wb_span_batch batch;
    WB_AUTO_BUFFER bytes;
    wb_buffer_init(&bytes, 1 << 20);
    (void)state;
    const wb_otlp_attr attrs[] = {
        WB_ATTR_TEXT("gen_ai.conversation.id", WB_S("talk")),
        WB_ATTR_TEXT("waybill.span.type", WB_S("llm_call")),
        WB_ATTR_TEXT("waybill.acceptance.id", WB_S("000000000000000000000000000000ff")),
        WB_ATTR_TEXT("waybill.delegation.id", WB_S("not hexadecimal, not even as long")),
        WB_ATTR_TEXT("error.type", WB_S("Timeout")),
        WB_ATTR_INT("session.id", 5)};
    const wb_span_draft draft = {.trace_id = test_trace(7),
                                 .span_id = test_span(8),
                                 .kind = WB_SPAN_SERVER,
                                 .status_code = WB_SPAN_ERROR,
                                 .status_message = WB_S("late"),
                                 .start_ns = UINT64_MAX,
                                 .end_ns = 5,
                                 .attrs = attrs,
                                 .attr_count = WB_COUNT(attrs)};
    const wb_span_origin origin = {.scope_name = WB_S("test")};
    if (wb_span_batch_build(&origin, &draft, 1, &bytes, &err) != WB_OK) return; /* no memory */
    assert_int_equal(wb_span_batch_open(wb_buffer_slice(&bytes), &batch, &err), WB_OK);
    wb_span_row row = wb_span_batch_row(&batch, 0);
    wb_cells_of_span(&row, WB_S("agent"), &cells);
    assert_int_equal(cells.n, WB_SPAN_CELL_COUNT);
    is_text(cell(&cells, span_names, "name"), "(unnamed)");
    is_text(cell(&cells, span_names, "kind"), "server");
    is_text(cell(&cells, span_names, "status"), "error");
    is_text(cell(&cells, span_names, "status_message"), "late");
    is_text(cell(&cells, span_names, "service"), "agent");
    is_text(cell(&cells, span_names, "span_type"), "llm_call");
    is_text(cell(&cells, span_names, "error_type"), "Timeout");
    is_text(cell(&cells, span_names, "session_id"), "talk");
    is_number(cell(&cells, span_names, "started_ns"), INT64_MAX);
    is_number(cell(&cells, span_names, "ended_ns"), 5);
    assert_int_equal(cell(&cells, span_names, "parent_span_id")->type, WB_CELL_NULL);
    assert_int_equal(cell(&cells, span_names, "delegation_id")->type, WB_CELL_NULL);
    const wb_cell *acceptance = cell(&cells, span_names, "acceptance_id");
    assert_int_equal(acceptance->bytes.len, 16);
    assert_int_equal(acceptance->bytes.ptr[15], 0xFF);
    row.kind = 99;
    row.status_code = 99;
    wb_cells_of_span(&row, WB_S(""), &cells);
    is_text(cell(&cells, span_names, "kind"), "unspecified");
    is_text(cell(&cells, span_names, "status"), "unset");
    is_text(cell(&cells, span_names, "service"), NULL);
}

static void a_log_record_shows_the_beginning_of_its_text(void **state)
{
    wb_cells cells;
    wb_error err = {0};
    wb_log_batch batch;
    char body[1202];
    WB_AUTO_BUFFER bytes;
    wb_buffer_init(&bytes, 1 << 20);
    (void)state;
    for (size_t i = 0; i < sizeof body; i += 2)
        memcpy(body + i, "\xC3\xA9", 2); /* 601 characters */
    const wb_otlp_attr attrs[] = {
        WB_ATTR_TEXT("waybill.delegation.id", WB_S("000000000000000000000000000000ff")),
        WB_ATTR_TEXT("waybill.acceptance.id", WB_S("00000000000000000000000000000000"))};
    const wb_log_draft logs[] = {{.observed_ns = 9,
                                  .severity = WB_SEVERITY_ERROR,
                                  .severity_text = WB_S("ERR"),
                                  .event_name = WB_S("e"),
                                  .body = wb_slice_of(body, sizeof body),
                                  .attrs = attrs,
                                  .attr_count = WB_COUNT(attrs)},
                                 {.trace_id = test_trace(1), .time_ns = 3}};
    const wb_span_origin origin = {.scope_name = WB_S("test")};
    if (wb_log_batch_build(&origin, logs, 2, &bytes, &err) != WB_OK) return; /* no memory */
    assert_int_equal(wb_log_batch_open(wb_buffer_slice(&bytes), &batch, &err), WB_OK);
    wb_log_row row = wb_log_batch_row(&batch, 0);
    wb_cells_of_log(&row, WB_S("agent"), &cells);
    assert_int_equal(cells.n, WB_LOG_CELL_COUNT);
    assert_int_equal(cell(&cells, log_names, "trace_id")->type, WB_CELL_NULL);
    is_number(cell(&cells, log_names, "time_ns"), 9);
    is_number(cell(&cells, log_names, "severity"), WB_SEVERITY_ERROR);
    is_text(cell(&cells, log_names, "severity_text"), "ERR");
    is_text(cell(&cells, log_names, "event_name"), "e");
    assert_int_equal(cell(&cells, log_names, "body")->bytes.len, 1000);
    assert_int_equal(cell(&cells, log_names, "delegation_id")->type, WB_CELL_BYTES);
    assert_int_equal(cell(&cells, log_names, "acceptance_id")->type, WB_CELL_NULL);
    row = wb_log_batch_row(&batch, 1);
    wb_cells_of_log(&row, WB_S(""), &cells);
    is_number(cell(&cells, log_names, "time_ns"), 3);
    is_text(cell(&cells, log_names, "body"), NULL);
    row.log = (wb_slice){NULL, 0};
    wb_cells_of_log(&row, WB_S(""), &cells);
    assert_int_equal(cell(&cells, log_names, "log")->type, WB_CELL_BYTES);
}

static void a_delegation_has_its_chain_as_json_and_no_limit_as_null(void **state)
{
    static const char *const chain[] = {"a.b", "c\"d", NULL};
    wb_cells cells;
    wb_error err = {0};
    WB_AUTO(wb_arena) arena = wb_arena_new(1 << 20);
    WB_AUTO_BUFFER bytes;
    wb_buffer_init(&bytes, 1 << 20);
    (void)state;
    test_delegation_payload(&bytes, &(test_delegation_spec){.id = 1,
                                                            .trace = 2,
                                                            .span = 3,
                                                            .version = 4,
                                                            .state = WB_DELEGATION_SENT,
                                                            .target_name = "writer",
                                                            .opened_ms = 5,
                                                            .chain = chain});
    if (!arena) return;
    wb_status status = wb_cells_of_delegation(wb_buffer_slice(&bytes), arena, &cells, &err);
    if (status == WB_ERR_NO_MEMORY) return;
    assert_int_equal(status, WB_OK);
    is_text(cell(&cells, delegation_names, "state"), "sent");
    is_text(cell(&cells, delegation_names, "target_name"), "writer");
    is_text(cell(&cells, delegation_names, "chain"), "[\"a.b\",\"c\\\"d\"]");
    is_text(cell(&cells, delegation_names, "currency"), NULL);
    is_number(cell(&cells, delegation_names, "version"), 4);
    is_number(cell(&cells, delegation_names, "turns"), 1);
    assert_int_equal(cell(&cells, delegation_names, "granted_cost_micros")->type, WB_CELL_NULL);
    assert_int_equal(cell(&cells, delegation_names, "closed_ns")->type, WB_CELL_NULL);
    assert_int_equal(cell(&cells, delegation_names, "late_answer")->type, WB_CELL_BOOL);
}

static void an_acceptance_has_its_verdict_in_words(void **state)
{
    static const char *const verdicts[] = {"unspecified", "continue", "link", "duplicate",
                                           "reject"};
    wb_cells cells;
    wb_error err = {0};
    WB_AUTO(wb_arena) arena = wb_arena_new(1 << 20);
    (void)state;
    if (!arena) return;
    bool seen[WB_COUNT(verdicts)] = {false};
    for (uint32_t i = 0; i < WB_COUNT(verdicts); i++) {
        WB_AUTO_BUFFER bytes;
        wb_buffer_init(&bytes, 1 << 20);
        test_acceptance_payload(&bytes, &(test_acceptance_spec){.id = 1,
                                                                .trace = 2,
                                                                .span = 3,
                                                                .version = 1,
                                                                .verdict = i,
                                                                .verified = true,
                                                                .warning = "WB_W_X",
                                                                .opened_ms = 5});
        wb_status status = wb_cells_of_acceptance(wb_buffer_slice(&bytes), arena, &cells, &err);
        if (status == WB_ERR_NO_MEMORY) return;
        assert_int_equal(status, WB_OK);
        wb_slice verdict = cell(&cells, acceptance_names, "verdict")->bytes;
        for (size_t k = 0; k < WB_COUNT(verdicts); k++)
            seen[k] |= wb_slice_eq(verdict, wb_slice_str(verdicts[k]));
        is_text(cell(&cells, acceptance_names, "warnings"), "[\"WB_W_X\"]");
        assert_int_equal(cell(&cells, acceptance_names, "verified")->number, 1);
    }
    for (size_t k = 0; k < WB_COUNT(verdicts); k++) assert_true(seen[k]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_no_row_is_rejected),
        cmocka_unit_test(a_span_has_what_queries_filter_by),
        cmocka_unit_test(a_log_record_shows_the_beginning_of_its_text),
        cmocka_unit_test(a_delegation_has_its_chain_as_json_and_no_limit_as_null),
        cmocka_unit_test(an_acceptance_has_its_verdict_in_words),
    };
    return cmocka_run_group_tests_name("store cells", tests, NULL, NULL);
}
