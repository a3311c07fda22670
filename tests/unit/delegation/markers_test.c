/* SPDX-License-Identifier: Apache-2.0 */
#include "sidecar/delegation/markers.h"

#include "core/delegation_state.h"
#include "proto/waybill/v1/journal.pb-c.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#define T0 (UINT64_C(1767225600) * WB_NS_PER_S)

typedef struct fixture {
    wb_arena *arena;
    wb_delegations *table;
} fixture;

static int set_up(void **state)
{
    fixture *f = calloc(1, sizeof *f);
    assert_non_null(f);
    f->arena = wb_arena_new(8 << 20);
    f->table = wb_delegations_new(4096);
    assert_true(f->arena && f->table);
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    fixture *f = *state;
    wb_arena_free(f->arena);
    wb_delegations_free(f->table);
    free(f);
    return 0;
}

/* `ids` outlives the row: 16 bytes of id, then 16 of trace, 8 of span. */
static Waybill__V1__DelegationRow a_row(uint8_t ids[40], uint32_t n)
{
    static char target[] = "https://example.org/b";
    Waybill__V1__DelegationRow row = WAYBILL__V1__DELEGATION_ROW__INIT;
    memset(ids, 0x11, 40);
    memcpy(ids, &n, sizeof n);
    row.id = (ProtobufCBinaryData){16, ids};
    row.trace_id = (ProtobufCBinaryData){16, ids + 16};
    row.span_id = (ProtobufCBinaryData){8, ids + 32};
    row.target_url = target;
    row.version = 1;
    row.state = WB_DELEGATION_IN_FLIGHT;
    row.opened_ns = T0;
    row.deadline_ns = T0 + 3600 * WB_NS_PER_S;
    return row;
}

static void put(fixture *f, const Waybill__V1__DelegationRow *row)
{
    size_t len = waybill__v1__delegation_row__get_packed_size(row);
    uint8_t *bytes = wb_arena_alloc(f->arena, len);
    assert_non_null(bytes);
    (void)waybill__v1__delegation_row__pack(row, bytes);
    const wb_entry entry = {WB_ENTRY_DELEGATION, {bytes, len}};
    assert_int_equal(wb_delegations_ops.apply(f->table, &entry, NULL), WB_OK);
}

static void open_one(fixture *f, uint32_t n)
{
    uint8_t ids[40];
    Waybill__V1__DelegationRow row = a_row(ids, n);
    put(f, &row);
}

/* Those due at so many seconds after the opening. */
static size_t due(fixture *f, double at_s, wb_marker_due *out, size_t max)
{
    return wb_delegations_unmarked(f->table, T0 + (uint64_t)(at_s * 1e9), out, max);
}

/* Write these markers and apply what was written, as the journal does. */
static void mark(fixture *f, const wb_marker_due *list, size_t n, wb_delegations *into)
{
    WB_AUTO_BUFFER payload;
    wb_span_draft *drafts = wb_arena_array(f->arena, n, sizeof *drafts);
    wb_buffer_init(&payload, 4 << 20);
    for (size_t i = 0; i < n; i++) {
        wb_slice packed;
        assert_true(wb_delegations_get(f->table, &list[i].id, &packed));
        Waybill__V1__DelegationRow *row =
            waybill__v1__delegation_row__unpack(NULL, packed.len, packed.ptr);
        assert_non_null(row);
        assert_int_equal(wb_marker_draft(row, list[i].n, f->arena, &drafts[i]), WB_OK);
        waybill__v1__delegation_row__free_unpacked(row, NULL);
    }
    const wb_span_agent agent = {
        .name = WB_S("agent"), .id = WB_S("spiffe://example.org/a"), .isolation = WB_S("none")};
    assert_int_equal(wb_own_spans(drafts, n, agent, &payload, NULL), WB_OK);
    const wb_entry entry = {WB_ENTRY_MARKERS, wb_buffer_slice(&payload)};
    assert_true(wb_delegations_ops.kinds & WB_KIND_BIT(entry.kind));
    assert_int_equal(wb_delegations_ops.apply(into, &entry, NULL), WB_OK);
}

/* ---- when ----------------------------------------------------------------------------------- */

static void they_are_due_at_1_5_30_seconds_and_then_each_minute(void **state)
{
    (void)state;
    static const struct {
        double age_s;
        uint32_t n;
    } cases[] = {{0, 0},     {0.999, 0}, {1, 1},   {4.9, 1}, {5, 2},     {29.9, 2},    {30, 3},
                 {59.99, 3}, {60, 4},    {119, 4}, {120, 5}, {3600, 63}, {86400, 1443}};
    for (size_t i = 0; i < WB_COUNT(cases); i++)
        assert_int_equal(wb_markers_due((uint64_t)(cases[i].age_s * 1e9)), cases[i].n);
    for (uint32_t n = 0; n < 2000; n++) {
        assert_int_equal(wb_markers_due(wb_marker_due_ns(n)), n + 1);
        assert_int_equal(wb_markers_due(wb_marker_due_ns(n) - 1), n);
    }
    assert_true(wb_markers_due(UINT64_MAX) > 1000);
}

static void a_delegation_is_marked_once_for_each_time(void **state)
{
    fixture *f = *state;
    wb_marker_due list[4];
    open_one(f, 1);
    assert_int_equal(due(f, 0.5, list, 4), 0);
    assert_int_equal(due(f, 1.1, list, 4), 1);
    assert_int_equal(list[0].n, 0);
    assert_int_equal(due(f, 1.2, list, 4), 1); /* it could not be written: again */
    mark(f, list, 1, f->table);
    assert_int_equal(due(f, 1.3, list, 4), 0);
    assert_int_equal(due(f, 5, list, 4), 1);
    assert_int_equal(list[0].n, 1);
    mark(f, list, 1, f->table);
    assert_int_equal(due(f, 29.9, list, 4), 0);
}

static void what_was_missed_is_passed_over(void **state)
{
    fixture *f = *state;
    wb_marker_due list[4];
    open_one(f, 1);
    assert_int_equal(due(f, 200, list, 4), 1);
    assert_int_equal(list[0].n, 5); /* that of the third minute alone */
    mark(f, list, 1, f->table);
    assert_int_equal(due(f, 239, list, 4), 0);
    assert_int_equal(due(f, 240, list, 4), 1);
}

static void what_is_closed_is_not_marked(void **state)
{
    fixture *f = *state;
    wb_marker_due list[4];
    uint8_t ids[40];
    open_one(f, 1);
    Waybill__V1__DelegationRow row = a_row(ids, 1);
    row.version = 2;
    row.state = WB_DELEGATION_ANSWERED;
    row.closed_ns = T0 + WB_NS_PER_S;
    put(f, &row);
    assert_int_equal(due(f, 100, list, 4), 0);
}

static void each_of_many_gets_its_turn(void **state)
{
    fixture *f = *state;
    enum { N = 1000, AT_ONCE = 64 };
    static wb_marker_due list[AT_ONCE];
    size_t marked = 0, looks = 0;
    for (uint32_t n = 1; n <= N; n++) open_one(f, n);
    for (size_t n; (n = due(f, 1, list, AT_ONCE)) > 0; looks++) {
        mark(f, list, n, f->table);
        wb_arena_reset(f->arena);
        marked += n;
    }
    assert_int_equal(marked, N);
    assert_int_equal(looks, (N + AT_ONCE - 1) / AT_ONCE);
}

static void a_clock_set_back_marks_nothing(void **state)
{
    fixture *f = *state;
    wb_marker_due list[4];
    open_one(f, 1);
    assert_int_equal(due(f, 1, list, 4), 1);
    assert_int_equal(wb_delegations_unmarked(f->table, T0 - 5 * WB_NS_PER_S, list, 4), 0);
}

/* ---- what survives -------------------------------------------------------------------------- */

static void a_restart_knows_what_was_marked(void **state)
{
    fixture *f = *state;
    wb_marker_due list[4];
    size_t resume = 0;
    WB_AUTO_BUFFER slice;
    open_one(f, 1);
    assert_int_equal(due(f, 5, list, 4), 1);
    mark(f, list, 1, f->table);
    wb_buffer_init(&slice, 1 << 20);
    assert_int_equal(wb_delegations_ops.snapshot(f->table, &slice, &resume), WB_OK);
    wb_delegations_ops.reset(f->table);
    assert_int_equal(wb_delegations_ops.load(f->table, wb_buffer_slice(&slice), NULL), WB_OK);
    assert_int_equal(due(f, 29, list, 4), 0);
    assert_int_equal(due(f, 30, list, 4), 1);
    assert_int_equal(list[0].n, 2);
}

static void a_later_row_that_knows_less_takes_nothing_back(void **state)
{
    fixture *f = *state;
    wb_marker_due list[4];
    uint8_t ids[40];
    open_one(f, 1);
    assert_int_equal(due(f, 5, list, 4), 1);
    mark(f, list, 1, f->table);
    mark(f, list, 1, f->table); /* applied twice equals once */
    Waybill__V1__DelegationRow row = a_row(ids, 1);
    row.version = 2; /* packed before the marker was */
    put(f, &row);
    assert_int_equal(due(f, 29, list, 4), 0);
}

static void a_marker_of_a_row_that_is_gone_changes_nothing(void **state)
{
    fixture *f = *state;
    wb_marker_due list[4];
    wb_delegations *empty = wb_delegations_new(16);
    open_one(f, 1);
    assert_int_equal(due(f, 5, list, 4), 1);
    mark(f, list, 1, empty);
    assert_int_equal(wb_delegations_count(empty), 0);
    wb_delegations_free(empty);
}

static void what_is_no_payload_is_said_to_be_damaged(void **state)
{
    fixture *f = *state;
    const wb_entry entry = {WB_ENTRY_MARKERS, WB_S("no span batch")};
    assert_int_equal(wb_delegations_ops.apply(f->table, &entry, NULL), WB_ERR_CORRUPT);
}

static void noting_keeps_all_else_of_the_row(void **state)
{
    fixture *f = *state;
    uint8_t ids[40], packed[512], unknown[] = {0xFA, 0x3F, 3, 'n', 'e', 'w'}; /* field 1023 */
    Waybill__V1__DelegationRow row = a_row(ids, 7);
    size_t len = waybill__v1__delegation_row__pack(&row, packed);
    memcpy(packed + len, unknown, sizeof unknown);
    len += sizeof unknown;
    wb_slice noted = {packed, len};
    static const uint32_t numbers[] = {1, 2, 200, 20000, UINT32_MAX};
    for (size_t i = 0; i < WB_COUNT(numbers); i++) {
        assert_int_equal(wb_marker_noted(noted, numbers[i], f->arena, &noted), WB_OK);
        Waybill__V1__DelegationRow *again =
            waybill__v1__delegation_row__unpack(NULL, noted.len, noted.ptr);
        assert_non_null(again);
        assert_true(again->markers == numbers[i]);
        assert_true(again->opened_ns == T0 && strcmp(again->target_url, row.target_url) == 0);
        assert_int_equal(again->base.n_unknown_fields, 1);
        waybill__v1__delegation_row__free_unpacked(again, NULL);
        assert_true(noted.len <= len + 7); /* it does not grow by each */
    }
}

/* ---- the span ------------------------------------------------------------------------------- */

static void the_same_marker_is_the_same_span(void **state)
{
    fixture *f = *state;
    wb_span_batch batch;
    WB_AUTO_BUFFER first, second;
    uint8_t ids[40];
    const wb_span_agent agent = {
        .name = WB_S("agent"), .id = WB_S("spiffe://example.org/a"), .isolation = WB_S("none")};
    Waybill__V1__DelegationRow row = a_row(ids, 1);
    wb_span_draft draft;
    wb_buffer_init(&first, 1 << 20);
    wb_buffer_init(&second, 1 << 20);
    assert_int_equal(wb_marker_draft(&row, 2, f->arena, &draft), WB_OK);
    assert_int_equal(wb_own_spans(&draft, 1, agent, &first, NULL), WB_OK);
    assert_int_equal(wb_marker_draft(&row, 2, f->arena, &draft), WB_OK);
    assert_int_equal(wb_own_spans(&draft, 1, agent, &second, NULL), WB_OK);
    assert_true(wb_slice_eq(wb_buffer_slice(&first), wb_buffer_slice(&second)));
    assert_int_equal(wb_span_batch_open(wb_buffer_slice(&first), &batch, NULL), WB_OK);
    wb_span_row span = wb_span_batch_row(&batch, 0);
    assert_memory_equal(span.trace_id.b, row.trace_id.data, 16);
    assert_memory_equal(span.parent_id.b, row.span_id.data, 8);
    assert_true(span.start_ns == T0 + 30 * WB_NS_PER_S && span.end_ns == span.start_ns);
    assert_true(wb_slice_eq(span.name, WB_S("delegation in flight")));
    assert_true(
        wb_slice_eq(wb_otlp_find_text(span.span, WB_OTLP_SPAN, WB_S("waybill.delegation.target")),
                    WB_S("https://example.org/b")));
    assert_true(
        wb_slice_eq(wb_otlp_find_text(span.span, WB_OTLP_SPAN, WB_S("waybill.delegation.state")),
                    WB_S("in_flight")));
    wb_value value;
    assert_true(wb_otlp_find_attr(span.span, WB_OTLP_SPAN, WB_S("waybill.marker"), &value));
    assert_true(value.type == WB_VALUE_BOOL && value.boolean);
    wb_marker_due read;
    assert_true(wb_marker_read(&span, &read));
    assert_int_equal(read.n, 2);
    assert_memory_equal(read.id.b, row.id.data, 16);
}

/* SHA-256 of "waybill.marker", 16 times 0x01, 00 00 00 02; from sha256sum. */
static void the_span_id_is_the_hash_that_the_page_says(void **state)
{
    (void)state;
    wb_id id;
    memset(id.b, 1, sizeof id.b);
    wb_span_id got = wb_marker_span_id(&id, 2);
    char hex[WB_SPAN_HEX + 1];
    wb_hex(got.b, sizeof got.b, hex);
    assert_string_equal(hex, "d5854f9459a4d830");
}

static void other_spans_are_no_markers(void **state)
{
    (void)state;
    const wb_otlp_attr attrs[][2] = {
        {WB_ATTR_INT("waybill.marker.n", 1), WB_ATTR_TEXT("waybill.delegation.id", WB_S("zz"))},
        {WB_ATTR_INT("waybill.marker.n", -1),
         WB_ATTR_TEXT("waybill.delegation.id", WB_S("00000000000000000000000000000001"))},
        {WB_ATTR_TEXT("waybill.marker.n", WB_S("1")),
         WB_ATTR_TEXT("waybill.delegation.id", WB_S("00000000000000000000000000000001"))},
        {WB_ATTR_INT("waybill.marker.m", 1),
         WB_ATTR_TEXT("waybill.delegation.id", WB_S("00000000000000000000000000000001"))},
    };
    for (size_t i = 0; i < WB_COUNT(attrs); i++) {
        WB_AUTO_BUFFER payload;
        wb_span_batch batch;
        wb_marker_due read;
        const wb_span_draft draft = {.trace_id = {{1}},
                                     .span_id = {{1}},
                                     .name = WB_S("x"),
                                     .attrs = attrs[i],
                                     .attr_count = 2};
        const wb_span_origin origin = {.scope_name = WB_S("x")};
        wb_buffer_init(&payload, 1 << 20);
        assert_int_equal(wb_span_batch_build(&origin, &draft, 1, &payload, NULL), WB_OK);
        assert_int_equal(wb_span_batch_open(wb_buffer_slice(&payload), &batch, NULL), WB_OK);
        wb_span_row row = wb_span_batch_row(&batch, 0);
        assert_false(wb_marker_read(&row, &read));
    }
}

#define MARKER_TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        MARKER_TEST(they_are_due_at_1_5_30_seconds_and_then_each_minute),
        MARKER_TEST(a_delegation_is_marked_once_for_each_time),
        MARKER_TEST(what_was_missed_is_passed_over),
        MARKER_TEST(what_is_closed_is_not_marked),
        MARKER_TEST(each_of_many_gets_its_turn),
        MARKER_TEST(a_clock_set_back_marks_nothing),
        MARKER_TEST(a_restart_knows_what_was_marked),
        MARKER_TEST(a_later_row_that_knows_less_takes_nothing_back),
        MARKER_TEST(a_marker_of_a_row_that_is_gone_changes_nothing),
        MARKER_TEST(what_is_no_payload_is_said_to_be_damaged),
        MARKER_TEST(noting_keeps_all_else_of_the_row),
        MARKER_TEST(the_same_marker_is_the_same_span),
        MARKER_TEST(the_span_id_is_the_hash_that_the_page_says),
        MARKER_TEST(other_spans_are_no_markers),
    };
    return cmocka_run_group_tests_name("markers", tests, NULL, NULL);
}
