/* SPDX-License-Identifier: Apache-2.0 */
/* Log records in a store that the real exporter writes: found by their trace, stored once, cut where a row
 * would grow with what a sender likes to write. */
#include "proto/otlp_read.h"
#include "tests/support/store_kit.h"

#include <setjmp.h>
#include <sqlite3.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

enum { MOST = 16 };

typedef struct found {
    size_t n;
    char bodies[MOST][2048];
    wb_stored_log rows[MOST]; /* numbers and ids only: slices end with the callback */
    char severity_text[16], event_name[32], service[16], sidecar[16], whole_body[64];
    wb_status answer;
} found;

static void copy(char *out, size_t cap, wb_slice text)
{
    (void)snprintf(out, cap, "%.*s", WB_SLICE_ARG(text));
}

static wb_status take(void *ctx, const wb_stored_log *row)
{
    found *f = ctx;
    wb_otlp_log_detail detail = wb_otlp_read_log(row->log);
    assert_true(f->n < MOST);
    copy(f->bodies[f->n], sizeof f->bodies[0], row->body);
    f->rows[f->n++] = *row;
    copy(f->severity_text, sizeof f->severity_text, row->severity_text);
    copy(f->event_name, sizeof f->event_name, row->event_name);
    copy(f->service, sizeof f->service, row->service);
    copy(f->sidecar, sizeof f->sidecar, row->sidecar_name);
    if (detail.body.type == WB_VALUE_TEXT)
        copy(f->whole_body, sizeof f->whole_body, detail.body.text);
    assert_true(row->resource.len > 0 && row->scope.len > 0);
    return f->answer;
}

static found *logs_of(store_kit *f, uint32_t trace, uint32_t limit)
{
    static found result;
    wb_error err = {0};
    wb_trace_id id = test_trace(trace);
    result = (found){.n = 0};
    if (!f->store) store_kit_open(f);
    assert_int_equal(wb_store_logs(f->store, &id, limit, take, &result, &err), WB_OK);
    return &result;
}

static void a_log_record_is_stored_with_what_it_says(void **state)
{
    store_kit *f = *state;
    store_kit_log(f, (test_log_spec){.trace = 1,
                                     .span = 2,
                                     .time_ms = 5,
                                     .observed_ms = 6,
                                     .severity = 13,
                                     .severity_text = "WARN",
                                     .event_name = "model.slow",
                                     .body = "asked twice",
                                     .acceptance = 7,
                                     .delegation = 8});
    found *got = logs_of(f, 1, 0);
    assert_int_equal(got->n, 1);
    wb_stored_log *row = &got->rows[0];
    wb_trace_id trace = test_trace(1);
    wb_span_id span = test_span(2);
    wb_id acceptance = test_id(7), delegation = test_id(8);
    assert_true(WB_ID_EQ(row->trace_id, trace) && WB_ID_EQ(row->span_id, span));
    assert_true(WB_ID_EQ(row->acceptance_id, acceptance));
    assert_true(WB_ID_EQ(row->delegation_id, delegation));
    assert_int_equal(row->time_ns, TEST_T0 + 5 * WB_NS_PER_MS);
    assert_int_equal(row->observed_ns, TEST_T0 + 6 * WB_NS_PER_MS);
    assert_int_equal(row->severity, 13);
    assert_true(row->seq == 1 && row->entry == 0 && row->item == 0);
    assert_string_equal(got->bodies[0], "asked twice");
    assert_string_equal(got->whole_body, "asked twice");
    assert_string_equal(got->severity_text, "WARN");
    assert_string_equal(got->event_name, "model.slow");
    assert_string_equal(got->service, "agent");
    assert_string_equal(got->sidecar, "alpha");
}

static void those_of_a_trace_come_by_time_and_without_one_they_were_seen_at(void **state)
{
    store_kit *f = *state;
    const test_log_spec specs[] = {
        {.trace = 1, .time_ms = 30, .body = "third"},
        {.trace = 1, .observed_ms = 20, .body = "second"}, /* when it was seen */
        {.trace = 2, .time_ms = 1, .body = "of another"},
        {.trace = 1, .time_ms = 10, .body = "first"},
        {.trace = 1, .body = "at no time"},
    };
    store_kit_logs(f, specs, WB_COUNT(specs));
    found *got = logs_of(f, 1, 0);
    assert_int_equal(got->n, 4);
    assert_string_equal(got->bodies[0], "at no time");
    assert_string_equal(got->bodies[1], "first");
    assert_string_equal(got->bodies[2], "second");
    assert_string_equal(got->bodies[3], "third");
    assert_int_equal(got->rows[3].item, 0);
    assert_int_equal(got->rows[1].item, 3);
    assert_int_equal(logs_of(f, 1, 2)->n, 2);
}

static void those_of_no_trace_are_kept_and_come_newest_first(void **state)
{
    store_kit *f = *state;
    const test_log_spec specs[] = {
        {.time_ms = 10, .body = "old"}, {.trace = 1, .body = "x"}, {.time_ms = 20, .body = "new"}};
    store_kit_logs(f, specs, WB_COUNT(specs));
    found *got = logs_of(f, 0, 0);
    assert_int_equal(got->n, 2);
    assert_string_equal(got->bodies[0], "new");
    assert_true(WB_ID_ABSENT(got->rows[0].trace_id));
    assert_string_equal(logs_of(f, 0, 1)->bodies[0], "new");
}

/* What a crash between the store's commit and the cursor's leaves: everything comes once more. */
static void what_is_delivered_again_is_there_once(void **state)
{
    store_kit *f = *state;
    sqlite3 *db = NULL;
    const test_log_spec specs[] = {{.trace = 1, .body = "same"}, {.trace = 1, .body = "same"}};
    store_kit_logs(f, specs, 2);
    assert_int_equal(sqlite3_open(f->path, &db), SQLITE_OK);
    assert_int_equal(sqlite3_exec(db, "DELETE FROM delivered", NULL, NULL, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_close(db), SQLITE_OK);
    f->seq = 0;
    store_kit_logs(f, specs, 2);
    assert_int_equal(logs_of(f, 1, 0)->n, 2);
    store_kit_logs(f, specs, 2); /* another frame: a sender that says the same again */
    assert_int_equal(logs_of(f, 1, 0)->n, 4);
    store_kit_become(f, 2, "beta"); /* another journal's frame 1 */
    f->seq = 0;
    store_kit_logs(f, specs, 1);
    assert_int_equal(logs_of(f, 1, 0)->n, 5);
}

static void a_long_body_is_cut_behind_a_character_in_its_column_alone(void **state)
{
    static char body[3 * 600 + 1];
    store_kit *f = *state;
    for (size_t i = 0; i < 600; i++) memcpy(body + 3 * i, "\xE2\x82\xAC", 3); /* the euro sign */
    store_kit_log(f, (test_log_spec){.trace = 1, .body = body});
    found *got = logs_of(f, 1, 0);
    assert_int_equal(strlen(got->bodies[0]), 3 * 500);
    assert_memory_equal(got->bodies[0], body, 3 * 500);
}

static void a_record_that_is_no_log_batch_is_refused(void **state)
{
    store_kit *f = *state;
    wb_record_view record = {.kind = WB_ENTRY_LOGS, .seq = 1, .payload = WB_S("no batch")};
    wb_export_result result;
    wb_error err = {0};
    assert_int_equal(wb_exporter_sqlite.send(f->exporter, &record, 1, 2000, &result, &err),
                     WB_ERR_REJECTED);
}

static void a_reader_that_has_enough_ends_it(void **state)
{
    store_kit *f = *state;
    wb_error err = {0};
    found got = {.answer = WB_ERR_FULL};
    wb_trace_id id = test_trace(1);
    const test_log_spec specs[] = {{.trace = 1, .body = "a"}, {.trace = 1, .body = "b"}};
    store_kit_logs(f, specs, 2);
    store_kit_open(f);
    assert_int_equal(wb_store_logs(f->store, &id, 0, take, &got, &err), WB_ERR_FULL);
    assert_int_equal(got.n, 1);
}

#define LOGS_TEST(f) cmocka_unit_test_setup_teardown(f, store_kit_set_up, store_kit_tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        LOGS_TEST(a_log_record_is_stored_with_what_it_says),
        LOGS_TEST(those_of_a_trace_come_by_time_and_without_one_they_were_seen_at),
        LOGS_TEST(those_of_no_trace_are_kept_and_come_newest_first),
        LOGS_TEST(what_is_delivered_again_is_there_once),
        LOGS_TEST(a_long_body_is_cut_behind_a_character_in_its_column_alone),
        LOGS_TEST(a_record_that_is_no_log_batch_is_refused),
        LOGS_TEST(a_reader_that_has_enough_ends_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
