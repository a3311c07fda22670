/* SPDX-License-Identifier: Apache-2.0 */
/* Success, refusal, outage, repeat, restart: the same claims for every far side. The frames are
 *   seq 1: spans; seq 2: delegation 1 opened, spans; seq 3: delegation 2; seq 4: acceptance, spans
 * so that frames of several records and batches that end within a frame occur. */
#include "tests/contract/exporter_contract.h"

#include "proto/span_batch.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

enum { SEND_MS = 2000 };

static uint32_t send_ms(const contract_fixture *f)
{
    return f->ops->send_ms > 0 ? f->ops->send_ms : SEND_MS;
}

static void put_spans(contract_fixture *f, size_t at, uint32_t first_span)
{
    test_span_spec spans[4] = {0};
    for (uint32_t i = 0; i < 4; i++)
        spans[i] = (test_span_spec){.trace = 1 + first_span / 8,
                                    .span = first_span + i,
                                    .parent = i ? first_span : 0,
                                    .name = "work",
                                    .kind = WB_SPAN_INTERNAL,
                                    .status = i == 3 ? WB_SPAN_ERROR : WB_SPAN_OK,
                                    .start_ms = first_span + i,
                                    .end_ms = first_span + i + 5};
    test_spans_payload(&f->bytes[at], spans, 4);
    f->records[at].kind = WB_ENTRY_SPANS;
}

static void put_delegation(contract_fixture *f, size_t at, uint32_t id, wb_delegation_state state)
{
    static const char *const chain[] = {"root.token.one", "leaf.token.two", NULL};
    test_delegation_spec spec = {.id = id,
                                 .trace = 1,
                                 .span = 100 + id,
                                 .version = 1,
                                 .state = state,
                                 .target_name = "writer",
                                 .opened_ms = 1,
                                 .chain = chain,
                                 .token_hash = (uint8_t)id};
    test_delegation_payload(&f->bytes[at], &spec);
    f->records[at].kind = WB_ENTRY_DELEGATION;
}

static void make_records(contract_fixture *f)
{
    static const struct {
        uint64_t seq;
        uint32_t entry;
    } places[CONTRACT_RECORDS] = {{1, 0}, {2, 0}, {2, 2}, {3, 0}, {4, 1}, {4, 2}};
    for (size_t i = 0; i < CONTRACT_RECORDS; i++) wb_buffer_init(&f->bytes[i], 1 << 20);
    put_spans(f, 0, 1);
    put_delegation(f, 1, 1, WB_DELEGATION_SENT);
    put_spans(f, 2, 5);
    put_delegation(f, 3, 2, WB_DELEGATION_IN_FLIGHT);
    test_acceptance_payload(&f->bytes[4], &(test_acceptance_spec){.id = 9,
                                                                  .trace = 2,
                                                                  .span = 200,
                                                                  .version = 1,
                                                                  .verdict = 1,
                                                                  .verified = true,
                                                                  .opened_ms = 3});
    f->records[4].kind = WB_ENTRY_ACCEPTANCE;
    put_spans(f, 5, 9);
    for (size_t i = 0; i < CONTRACT_RECORDS; i++) {
        f->records[i].seq = places[i].seq;
        f->records[i].entry = places[i].entry;
        f->records[i].payload = wb_buffer_slice(&f->bytes[i]);
    }
}

void contract_open(contract_fixture *f)
{
    wb_error err = {0};
    if (f->ops->exporter->open(&f->section, &f->origin, &f->exporter, &err) != WB_OK)
        fail_msg("open: %s", err.detail);
}

void contract_close(contract_fixture *f)
{
    if (f->exporter) f->ops->exporter->close(f->exporter);
    f->exporter = NULL;
}

int contract_set_up(void **state)
{
    contract_fixture *f = calloc(1, sizeof *f);
    f->ops = *state;
    f->far = f->ops->start(&f->settings);
    f->section = (wb_config_section){.name = f->ops->exporter->name, .values = f->settings};
    f->origin = (wb_exporter_origin){.journal_id = test_id(77),
                                     .agent_id = "spiffe://waybill.local/test/agent",
                                     .name = "agent",
                                     .version = "0.0.0",
                                     .isolation = "none"};
    make_records(f);
    contract_open(f);
    *state = f;
    return 0;
}

int contract_tear_down(void **state)
{
    contract_fixture *f = *state;
    contract_close(f);
    f->ops->stop(f->far);
    for (size_t i = 0; i < CONTRACT_RECORDS; i++) wb_buffer_done(&f->bytes[i]);
    free(f);
    return 0;
}

wb_status contract_send(contract_fixture *f, size_t from, size_t n)
{
    wb_export_result result = {.accepted = 99};
    wb_error err = {0};
    wb_status status =
        f->ops->exporter->send(f->exporter, f->records + from, n, send_ms(f), &result, &err);
    assert_int_equal(result.accepted, status == WB_OK ? n : 0);
    if (status != WB_OK) {
        assert_int_equal(err.status, status);
        assert_true(err.detail[0] != '\0'); /* every failure says why */
    }
    return status;
}

static void holds(int have, int want)
{
    if (have != -1) assert_int_equal(have, want);
}

void contract_holds_all(contract_fixture *f)
{
    holds(f->ops->spans(f->far), CONTRACT_SPANS);
    holds(f->ops->delegations(f->far), CONTRACT_DELEGATIONS);
    holds(f->ops->acceptances(f->far), CONTRACT_ACCEPTANCES);
}

/* ---- refusals first ------------------------------------------------------------------------- */

static void open_refuses_settings_that_can_never_work(void **state)
{
    contract_fixture *f = *state;
    wb_config_section section = {.name = "bad", .values = f->ops->impossible_settings};
    wb_error err = {0};
    void *self = NULL;
    assert_int_equal(f->ops->exporter->open(&section, &f->origin, &self, &err), WB_ERR_CONFIG);
    assert_null(self);
    assert_true(err.detail[0] != '\0');
}

static bool takes(const contract_fixture *f, wb_entry_kind kind)
{
    const wb_exporter_ops *ops = f->ops->exporter;
    uint64_t all = ops->takes_of ? ops->takes_of(&f->section) : ops->takes;
    return (all & WB_KIND_BIT(kind)) != 0;
}

/* Every record kind damaged in turn: the bad one is found alone, and those beside it get in. A kind that
 * it does not take is nothing to look at. */
static void a_record_that_cannot_be_read_is_rejected_and_the_others_get_in(void **state)
{
    contract_fixture *f = *state;
    for (size_t bad = 0; bad < CONTRACT_RECORDS; bad++) {
        contract_close(f);
        f->origin.journal_id = test_id(1000 + (uint32_t)bad); /* nothing of it is delivered yet */
        contract_open(f);
        for (size_t i = 0; i < CONTRACT_RECORDS; i++)
            f->records[i].payload = wb_buffer_slice(&f->bytes[i]);
        f->records[bad].payload = WB_S("\xFF\xFF\xFF not a payload");
        wb_status said = takes(f, f->records[bad].kind) ? WB_ERR_REJECTED : WB_OK;
        assert_int_equal(contract_send(f, 0, CONTRACT_RECORDS), said);
        if (bad > 0) assert_int_equal(contract_send(f, 0, bad), WB_OK);
        assert_int_equal(contract_send(f, bad, 1), said);
        if (bad + 1 < CONTRACT_RECORDS)
            assert_int_equal(contract_send(f, bad + 1, CONTRACT_RECORDS - bad - 1), WB_OK);
    }
    contract_holds_all(f); /* each record was good in some round */
}

static void a_rejected_send_leaves_nothing_of_the_bad_record(void **state)
{
    contract_fixture *f = *state;
    f->records[5].payload.len /= 2; /* a batch of spans cut in the middle */
    assert_int_equal(contract_send(f, 5, 1), WB_ERR_REJECTED);
    holds(f->ops->spans(f->far), 0);
}

/* ---- outage --------------------------------------------------------------------------------- */

static void open_does_not_reach_out(void **state)
{
    contract_fixture *f = *state;
    contract_close(f);
    f->ops->away(f->far);
    contract_open(f);
    wb_status status = contract_send(f, 0, CONTRACT_RECORDS);
    assert_true(status == WB_ERR_UNAVAILABLE || status == WB_ERR_TIMEOUT);
    f->ops->back(f->far);
    assert_int_equal(contract_send(f, 0, CONTRACT_RECORDS), WB_OK);
    contract_holds_all(f);
}

static void an_outage_is_not_the_records_fault_and_ends(void **state)
{
    contract_fixture *f = *state;
    assert_int_equal(contract_send(f, 0, 3), WB_OK);
    f->ops->away(f->far);
    for (int i = 0; i < 3; i++) {
        wb_status status = contract_send(f, 3, 3);
        assert_true(status == WB_ERR_UNAVAILABLE || status == WB_ERR_TIMEOUT);
    }
    f->ops->back(f->far);
    assert_int_equal(contract_send(f, 3, 3), WB_OK);
    contract_holds_all(f);
}

/* ---- success, repeat, restart --------------------------------------------------------------- */

static void all_kinds_it_takes_arrive(void **state)
{
    contract_fixture *f = *state;
    assert_int_equal(contract_send(f, 0, CONTRACT_RECORDS), WB_OK);
    contract_holds_all(f);
}

static void records_may_come_one_by_one(void **state)
{
    contract_fixture *f = *state;
    for (size_t i = 0; i < CONTRACT_RECORDS; i++) assert_int_equal(contract_send(f, i, 1), WB_OK);
    contract_holds_all(f);
}

static void kinds_it_did_not_ask_for_do_no_harm(void **state)
{
    contract_fixture *f = *state;
    f->records[1].kind = WB_ENTRY_CURSOR;
    assert_int_equal(contract_send(f, 0, CONTRACT_RECORDS), WB_OK);
    holds(f->ops->delegations(f->far), 1);
}

static void a_repeat_whole_or_in_part_doubles_nothing(void **state)
{
    contract_fixture *f = *state;
    assert_int_equal(contract_send(f, 0, 4), WB_OK);
    assert_int_equal(contract_send(f, 0, 4), WB_OK);
    assert_int_equal(contract_send(f, 2, 4), WB_OK);
    assert_int_equal(contract_send(f, 0, CONTRACT_RECORDS), WB_OK);
    contract_holds_all(f);
}

static void a_restart_goes_on_where_it_was(void **state)
{
    contract_fixture *f = *state;
    assert_int_equal(contract_send(f, 0, 3), WB_OK);
    contract_close(f);
    contract_open(f);
    assert_int_equal(contract_send(f, 0, CONTRACT_RECORDS), WB_OK);
    contract_close(f);
    contract_open(f);
    contract_holds_all(f);
}

/* The same spans under a new journal id: the state directory was wiped and clients sent again. */
static void a_wiped_journal_doubles_nothing(void **state)
{
    contract_fixture *f = *state;
    assert_int_equal(contract_send(f, 0, CONTRACT_RECORDS), WB_OK);
    contract_close(f);
    f->origin.journal_id = test_id(78);
    contract_open(f);
    assert_int_equal(contract_send(f, 0, CONTRACT_RECORDS), WB_OK);
    contract_holds_all(f);
}

/* Two sidecars, one far side: numbers of one journal say nothing about the other. */
static void two_sidecars_do_not_mistake_each_others_places(void **state)
{
    contract_fixture *f = *state;
    assert_int_equal(contract_send(f, 5, 1), WB_OK);
    contract_fixture other = *f;
    other.origin.journal_id = test_id(78);
    contract_open(&other);
    assert_int_equal(contract_send(&other, 0, 5), WB_OK);
    contract_close(&other);
    contract_holds_all(f);
}

static void send_state(contract_fixture *f, uint64_t seq, uint64_t version,
                       wb_delegation_state state)
{
    WB_AUTO_BUFFER bytes;
    wb_buffer_init(&bytes, 1 << 20);
    test_delegation_payload(
        &bytes,
        &(test_delegation_spec){
            .id = 1, .trace = 1, .span = 101, .version = version, .state = state, .opened_ms = 1});
    wb_record_view record = {
        .kind = WB_ENTRY_DELEGATION, .seq = seq, .payload = wb_buffer_slice(&bytes)};
    wb_export_result result;
    wb_error err = {0};
    assert_int_equal(f->ops->exporter->send(f->exporter, &record, 1, send_ms(f), &result, &err),
                     WB_OK);
}

static void only_a_newer_version_replaces_a_delegation(void **state)
{
    contract_fixture *f = *state;
    char name[32];
    send_state(f, 10, 2, WB_DELEGATION_IN_FLIGHT);
    send_state(f, 11, 1, WB_DELEGATION_SENT);
    f->ops->delegation_state(f->far, 1, name);
    assert_string_equal(name, "in_flight");
    send_state(f, 12, 3, WB_DELEGATION_COMPLETED);
    f->ops->delegation_state(f->far, 1, name);
    assert_string_equal(name, "completed");
    holds(f->ops->delegations(f->far), 1);
}

#define CONTRACT_TEST(f)                                                                           \
    cmocka_unit_test_prestate_setup_teardown(f, contract_set_up, contract_tear_down, (void *)ops)

int exporter_contract_run(const far_side_ops *ops)
{
    const struct CMUnitTest tests[] = {
        CONTRACT_TEST(open_refuses_settings_that_can_never_work),
        CONTRACT_TEST(a_record_that_cannot_be_read_is_rejected_and_the_others_get_in),
        CONTRACT_TEST(a_rejected_send_leaves_nothing_of_the_bad_record),
        CONTRACT_TEST(open_does_not_reach_out),
        CONTRACT_TEST(an_outage_is_not_the_records_fault_and_ends),
        CONTRACT_TEST(all_kinds_it_takes_arrive),
        CONTRACT_TEST(records_may_come_one_by_one),
        CONTRACT_TEST(kinds_it_did_not_ask_for_do_no_harm),
        CONTRACT_TEST(a_repeat_whole_or_in_part_doubles_nothing),
        CONTRACT_TEST(a_restart_goes_on_where_it_was),
        CONTRACT_TEST(a_wiped_journal_doubles_nothing),
        CONTRACT_TEST(two_sidecars_do_not_mistake_each_others_places),
    };
    const struct CMUnitTest stateful[] = {
        CONTRACT_TEST(only_a_newer_version_replaces_a_delegation),
    };
    int failed = cmocka_run_group_tests_name(ops->exporter->name, tests, NULL, NULL);
    if (ops->delegation_state)
        failed += cmocka_run_group_tests_name(ops->exporter->name, stateful, NULL, NULL);
    return failed;
}
