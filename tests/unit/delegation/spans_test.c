/* SPDX-License-Identifier: Apache-2.0 */
/* What the sidecar's own spans say, read back as a store reads them. */
#include "core/delegation_state.h"
#include "proto/span_batch.h"
#include "proto/waybill/v1/ipc.pb-c.h"
#include "proto/waybill/v1/journal.pb-c.h"
#include "sidecar/delegation/spans.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
/* cmocka wants the four above first */
#include <cmocka.h>

static const wb_trace_id trace = {{1, 2, 3}};
static const wb_trace_id other_trace = {{9, 9}};
static const wb_span_id span = {{4, 5}}, parent = {{6}}, other_span = {{8}};
static const wb_id id = {{0xAB}};
static const wb_span_agent agent = {
    .name = WB_S("planner"), .id = WB_S("spiffe://example.org/a"), .isolation = WB_S("uid")};

static ProtobufCBinaryData data(const void *p, size_t len)
{
    return (ProtobufCBinaryData){.len = len, .data = (uint8_t *)p};
}

static Waybill__V1__DelegationRow closed_row(wb_delegation_state state)
{
    static char method[] = "SendMessage", message[] = "msg-1", target[] = "spiffe://example.org/b";
    Waybill__V1__DelegationRow row = WAYBILL__V1__DELEGATION_ROW__INIT;
    row.id = data(id.b, sizeof id.b);
    row.trace_id = data(trace.b, sizeof trace.b);
    row.span_id = data(span.b, sizeof span.b);
    row.parent_span_id = data(parent.b, sizeof parent.b);
    row.state = state;
    row.method = method;
    row.message_id = message;
    row.target_agent_id = target;
    row.opened_ns = 1000;
    row.closed_ns = row.updated_ns = 5000;
    return row;
}

static Waybill__V1__AcceptanceRow finished_row(void)
{
    static char method[] = "SendMessage", outcome[] = "ok";
    Waybill__V1__AcceptanceRow row = WAYBILL__V1__ACCEPTANCE_ROW__INIT;
    row.id = data(id.b, sizeof id.b);
    row.trace_id = data(trace.b, sizeof trace.b);
    row.span_id = data(span.b, sizeof span.b);
    row.method = method;
    row.outcome = outcome;
    row.opened_ns = 1000;
    row.finished_ns = 5000;
    return row;
}

/* The one span of a payload; `batch` must outlive the row. */
static wb_span_row only_span(const wb_buffer *payload, wb_span_batch *batch)
{
    assert_int_equal(wb_span_batch_open(wb_buffer_slice(payload), batch, NULL), WB_OK);
    assert_int_equal(batch->span_count, 1);
    return wb_span_batch_row(batch, 0);
}

static void assert_text(const wb_span_row *row, const char *key, const char *value)
{
    wb_slice found = wb_otlp_find_text(row->span, WB_OTLP_SPAN, wb_slice_str(key));
    assert_true(wb_slice_eq(found, wb_slice_str(value)));
}

static void a_row_without_ids_makes_no_span(void **state)
{
    Waybill__V1__DelegationRow row = closed_row(WB_DELEGATION_COMPLETED);
    WB_AUTO_BUFFER out;
    (void)state;
    wb_buffer_init(&out, 4096);
    row.span_id = data(NULL, 0);
    assert_int_equal(wb_delegation_span(&row, agent, &out, NULL), WB_ERR_MALFORMED);
    assert_int_equal(out.len, 0);
}

static void a_delegation_is_a_client_span_from_mint_to_close(void **state)
{
    Waybill__V1__DelegationRow row = closed_row(WB_DELEGATION_COMPLETED);
    wb_span_batch batch;
    WB_AUTO_BUFFER out;
    (void)state;
    wb_buffer_init(&out, 4096);
    assert_int_equal(wb_delegation_span(&row, agent, &out, NULL), WB_OK);
    wb_span_row got = only_span(&out, &batch);
    assert_int_equal(got.kind, WB_SPAN_CLIENT);
    assert_int_equal(got.start_ns, 1000);
    assert_int_equal(got.end_ns, 5000);
    assert_int_equal(got.status_code, WB_SPAN_UNSET);
    assert_memory_equal(got.parent_id.b, parent.b, sizeof parent.b);
    assert_true(wb_slice_eq(got.name, WB_S("SendMessage")));
    assert_text(&got, "waybill.delegation.id", "ab000000000000000000000000000000");
    assert_text(&got, "waybill.delegation.state", "completed");
    assert_text(&got, "waybill.span.type", "delegation");
    assert_text(&got, "error.type", "");
    wb_slice service = wb_otlp_find_text(got.resource, WB_OTLP_RESOURCE, WB_S("service.name"));
    assert_true(wb_slice_eq(service, WB_S("planner")));
}

static void failed_rejected_and_lost_are_errors_and_canceled_is_not(void **state)
{
    static const struct {
        wb_delegation_state state;
        uint8_t status;
    } cases[] = {{WB_DELEGATION_FAILED, WB_SPAN_ERROR},   {WB_DELEGATION_REJECTED, WB_SPAN_ERROR},
                 {WB_DELEGATION_LOST, WB_SPAN_ERROR},     {WB_DELEGATION_CANCELED, WB_SPAN_UNSET},
                 {WB_DELEGATION_ANSWERED, WB_SPAN_UNSET}, {WB_DELEGATION_COMPLETED, WB_SPAN_UNSET}};
    (void)state;
    for (size_t i = 0; i < WB_COUNT(cases); i++) {
        Waybill__V1__DelegationRow row = closed_row(cases[i].state);
        wb_span_batch batch;
        WB_AUTO_BUFFER out;
        wb_buffer_init(&out, 4096);
        assert_int_equal(wb_delegation_span(&row, agent, &out, NULL), WB_OK);
        assert_int_equal(only_span(&out, &batch).status_code, cases[i].status);
    }
}

static void a_continued_acceptance_is_a_server_span_under_a_remote_parent(void **state)
{
    Waybill__V1__AcceptanceRow row = finished_row();
    wb_span_batch batch;
    WB_AUTO_BUFFER out;
    (void)state;
    wb_buffer_init(&out, 4096);
    row.verdict = WAYBILL__V1__VERDICT__VERDICT_CONTINUE;
    row.verified = true;
    row.parent_span_id = data(parent.b, sizeof parent.b);
    assert_int_equal(wb_acceptance_span(&row, agent, &out, NULL), WB_OK);
    wb_span_row got = only_span(&out, &batch);
    assert_int_equal(got.kind, WB_SPAN_SERVER);
    assert_memory_equal(got.parent_id.b, parent.b, sizeof parent.b);
    assert_int_equal(got.flags & 0x300, 0x300);
    assert_text(&got, "waybill.token.verdict", "continue");
}

static void an_unverified_acceptance_is_a_root_that_links_to_what_was_claimed(void **state)
{
    static char code[] = "WB_E_ISS_UNKNOWN", stranger[] = "spiffe://evil.example/x";
    Waybill__V1__AcceptanceRow row = finished_row();
    wb_span_batch batch;
    wb_otlp_link link;
    WB_AUTO_BUFFER out;
    (void)state;
    wb_buffer_init(&out, 4096);
    row.verdict = WAYBILL__V1__VERDICT__VERDICT_LINK;
    row.code = code;
    row.issuer = stranger;
    row.link_trace_id = data(other_trace.b, sizeof other_trace.b);
    row.link_span_id = data(other_span.b, sizeof other_span.b);
    assert_int_equal(wb_acceptance_span(&row, agent, &out, NULL), WB_OK);
    wb_span_row got = only_span(&out, &batch);
    assert_true(WB_ID_ABSENT(got.parent_id));
    assert_text(&got, "waybill.token.verdict", "unverified");
    assert_text(&got, "waybill.token.error", "WB_E_ISS_UNKNOWN");
    assert_text(&got, "waybill.token.issuer", ""); /* a claim is no fact */
    wb_otlp_iter it = {got.span};
    assert_true(wb_otlp_next_link(&it, &link));
    assert_memory_equal(link.trace_id.b, other_trace.b, sizeof other_trace.b);
    assert_memory_equal(link.span_id.b, other_span.b, sizeof other_span.b);
    assert_false(wb_otlp_next_link(&it, &link));
}

static void a_late_answer_is_a_new_span_that_links_to_the_lost_one(void **state)
{
    Waybill__V1__DelegationRow row = closed_row(WB_DELEGATION_COMPLETED);
    wb_span_batch batch;
    wb_otlp_link link;
    WB_AUTO_BUFFER out;
    (void)state;
    wb_buffer_init(&out, 4096);
    row.updated_ns = 9000;
    assert_int_equal(wb_late_answer_span(&row, agent, &out, NULL), WB_OK);
    wb_span_row got = only_span(&out, &batch);
    assert_memory_not_equal(got.span_id.b, span.b, sizeof span.b);
    assert_int_equal(got.start_ns, 9000);
    assert_int_equal(got.end_ns, 9000);
    wb_otlp_iter it = {got.span};
    assert_true(wb_otlp_next_link(&it, &link));
    assert_memory_equal(link.span_id.b, span.b, sizeof span.b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_row_without_ids_makes_no_span),
        cmocka_unit_test(a_delegation_is_a_client_span_from_mint_to_close),
        cmocka_unit_test(failed_rejected_and_lost_are_errors_and_canceled_is_not),
        cmocka_unit_test(a_continued_acceptance_is_a_server_span_under_a_remote_parent),
        cmocka_unit_test(an_unverified_acceptance_is_a_root_that_links_to_what_was_claimed),
        cmocka_unit_test(a_late_answer_is_a_new_span_that_links_to_the_lost_one),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
