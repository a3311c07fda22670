/* SPDX-License-Identifier: Apache-2.0 */
#include "proto/span_batch.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "proto/otlp_edit.h"
#include "proto/otlp_json.h"
#include "proto/otlp_walk.h"
#include "tests/support/otlp_compare.h"
#include "tests/support/otlp_sample.h"
#include "tests/support/wire_maker.h"

enum { ARENA_BYTES = 64 * 1024 * 1024, OUT_BYTES = 64 * 1024 * 1024, SEEDS = 1500 };

/* Every key that the random samples use, so that edits can hit all of them. */
static const wb_slice prefixes[] = {{(const uint8_t *)"key.", 4},
                                    {(const uint8_t *)"waybill.", 8},
                                    {(const uint8_t *)"service.", 8},
                                    {(const uint8_t *)"\xd0", 1}};

typedef struct fixture {
    wb_arena *arena;
    wb_key_set *keys;
    wb_buffer out;
    wb_span_batch read;
    maker m;
} fixture;

static int setup(void **state)
{
    fixture *f = calloc(1, sizeof *f);
    assert_non_null(f);
    f->arena = wb_arena_new(ARENA_BYTES);
    f->m = (maker){.arena = f->arena};
    wb_buffer_init(&f->out, OUT_BYTES);
    assert_int_equal(wb_key_set_new(NULL, 0, prefixes, WB_COUNT(prefixes), &f->keys, NULL), WB_OK);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    fixture *f = *state;
    wb_key_set_free(f->keys);
    wb_buffer_done(&f->out);
    wb_arena_free(f->arena);
    free(f);
    return 0;
}

static wb_batch *walked(fixture *f, wb_slice body)
{
    wb_batch *batch = NULL;
    assert_int_equal(wb_otlp_walk(body, f->keys, f->arena, &batch, NULL), WB_OK);
    return batch;
}

/* Write, and open what was written. */
static void write_and_open(fixture *f, const wb_batch *batch)
{
    wb_buffer_clear(&f->out);
    assert_int_equal(wb_span_batch_write(batch, &f->out, NULL), WB_OK);
    assert_int_equal(wb_span_batch_open(wb_buffer_slice(&f->out), &f->read, NULL), WB_OK);
}

static bool within(wb_slice outer, wb_slice inner)
{
    return inner.ptr >= outer.ptr && inner.ptr + inner.len <= outer.ptr + outer.len;
}

/* ---- refusals -------------------------------------------------------------------------------- */

static void open_refuses_what_is_no_span_batch(void **state)
{
    fixture *f = *state;
    wb_span_batch untouched = {.span_count = 77};
    write_and_open(f, walked(f, wb_sample_llm_spans(3, 1, f->arena)));
    wb_slice good = wb_buffer_slice(&f->out);
    for (size_t len = 0; len < good.len; len++)
        assert_int_equal(wb_span_batch_open((wb_slice){good.ptr, len}, &untouched, NULL),
                         WB_ERR_CORRUPT);
    f->out.ptr[0] ^= 1;
    assert_int_equal(wb_span_batch_open(good, &untouched, NULL), WB_ERR_CORRUPT);
    f->out.ptr[0] ^= 1;
    assert_int_equal(wb_buffer_add(&f->out, "", 1), WB_OK);
    assert_int_equal(wb_span_batch_open(wb_buffer_slice(&f->out), &untouched, NULL),
                     WB_ERR_CORRUPT);
    assert_int_equal(untouched.span_count, 77);
}

static void open_never_lets_a_row_point_outside(void **state)
{
    fixture *f = *state;
    static const uint8_t hostile[] = {0x00, 0x01, 0x7F, 0x80, 0xFF};
    write_and_open(f, walked(f, wb_sample_llm_spans(2, 1, f->arena)));
    size_t index = f->out.len - f->read.body.len, refused = 0;
    for (size_t at = 0; at < index; at++) {
        for (size_t h = 0; h < WB_COUNT(hostile); h++) {
            wb_span_batch read;
            uint8_t was = f->out.ptr[at];
            f->out.ptr[at] = hostile[h];
            if (wb_span_batch_open(wb_buffer_slice(&f->out), &read, NULL) != WB_OK)
                refused++;
            else
                for (uint32_t i = 0; i < read.span_count; i++) {
                    wb_span_row row = wb_span_batch_row(&read, i);
                    assert_true(within(read.body, row.span) && within(row.span, row.name));
                    assert_true(within(read.body, row.scope) && within(read.body, row.resource));
                }
            f->out.ptr[at] = was;
        }
    }
    assert_true(refused > index); /* some values are good in some places */
}

static void open_refuses_counts_whose_product_wraps(void **state)
{
    (void)state;
    uint8_t payload[64] = {'W', 'S', 'B', '1', 0x33, 0x33, 0x33, 0x03}; /* spans * 80 > 2^32 */
    wb_span_batch read;
    memset(payload + 4, 0xFF, 12);
    assert_int_equal(wb_span_batch_open((wb_slice){payload, sizeof payload}, &read, NULL),
                     WB_ERR_CORRUPT);
}

static void write_changes_nothing_when_the_buffer_is_full(void **state)
{
    fixture *f = *state;
    const wb_batch *batch = walked(f, wb_sample_llm_spans(10, 1, f->arena));
    WB_AUTO_BUFFER small;
    wb_buffer_init(&small, 1000);
    assert_int_equal(wb_buffer_add(&small, "before", 6), WB_OK);
    wb_error err;
    assert_int_equal(wb_span_batch_write(batch, &small, &err), WB_ERR_NO_MEMORY);
    assert_int_equal(small.len, 6);
}

/* ---- rendering ------------------------------------------------------------------------------- */

static void assert_row_is_span(const fixture *f, uint32_t i, const wb_batch *batch)
{
    const wb_span *span = &batch->spans[i];
    wb_span_row row = wb_span_batch_row(&f->read, i);
    assert_memory_equal(row.trace_id.b, span->trace_id.b, 16);
    assert_memory_equal(row.span_id.b, span->span_id.b, 8);
    assert_memory_equal(row.parent_id.b, span->parent_id.b, 8);
    assert_true(row.start_ns == span->start_ns && row.end_ns == span->end_ns);
    assert_true(row.kind == span->kind && row.status_code == span->status_code);
    assert_true(row.flags == span->flags && row.scope_index == span->scope);
    assert_true(wb_slice_eq(row.name, span->name));
    const wb_scope_spans *scope = wb_span_scope(batch, span);
    assert_int_equal(row.resource_index, scope->resource);
    if (scope->scope.at)
        assert_true(wb_slice_eq(row.scope, wb_batch_bytes(batch, scope->scope)));
    else
        assert_int_equal(row.scope.len, 0);
}

static void an_untouched_batch_keeps_its_bytes(void **state)
{
    fixture *f = *state;
    for (uint64_t seed = 0; seed < SEEDS; seed++) {
        const wb_batch *batch = walked(f, wb_sample_random(seed, false, f->arena));
        write_and_open(f, batch);
        assert_true(wb_slice_eq(f->read.body, batch->body));
        assert_int_equal(f->read.span_count, batch->span_count);
        for (uint32_t i = 0; i < batch->span_count; i++) {
            assert_row_is_span(f, i, batch);
            assert_true(wb_slice_eq(wb_span_batch_row(&f->read, i).span,
                                    wb_batch_bytes(batch, batch->spans[i].extent)));
            wb_extent resource = wb_span_resource(batch, &batch->spans[i])->resource;
            if (resource.at)
                assert_true(wb_slice_eq(wb_span_batch_row(&f->read, i).resource,
                                        wb_batch_bytes(batch, resource)));
        }
        wb_arena_reset(f->arena);
    }
}

static void rejected_spans_are_left_out_and_the_rest_keeps_its_bytes(void **state)
{
    fixture *f = *state;
    size_t rejected = 0;
    for (uint64_t seed = 0; seed < SEEDS; seed++) {
        const wb_batch *batch = walked(f, wb_sample_random(seed, true, f->arena));
        write_and_open(f, batch);
        rejected += batch->rejected_count;
        const wb_batch *again = walked(f, f->read.body);
        assert_int_equal(again->rejected_count, 0);
        assert_int_equal(again->span_count, batch->span_count);
        assert_null(wb_oracle_differs(again, true));
        for (uint32_t i = 0; i < batch->span_count; i++) {
            assert_row_is_span(f, i, batch);
            assert_true(wb_slice_eq(wb_span_batch_row(&f->read, i).span,
                                    wb_batch_bytes(again, again->spans[i].extent)));
            assert_true(wb_slice_eq(wb_span_batch_row(&f->read, i).span,
                                    wb_batch_bytes(batch, batch->spans[i].extent)));
        }
        wb_arena_reset(f->arena);
    }
    assert_true(rejected > 100);
}

static void envelopes_that_rejection_empties_are_left_out(void **state)
{
    fixture *f = *state;
    maker *m = &f->m;
    wb_slice good = make_len(m, 2, good_ids(m)), bad = make_len(m, 2, WB_S(""));
    wb_slice empty_scope = make_len(m, 2, WB_S("")), bad_scope = make_len(m, 2, bad);
    wb_slice first[] = {bad_scope, make_len(m, 2, good), bad_scope, empty_scope};
    wb_slice rest[] = {make_len(m, 2, good), empty_scope};
    wb_slice groups[] = {make_len(m, 1, bad_scope), make_len(m, 1, make_joined(m, first, 4)),
                         make_len(m, 1, WB_S(""))};
    wb_slice left[] = {make_len(m, 1, make_joined(m, rest, 2)), make_len(m, 1, WB_S(""))};
    write_and_open(f, walked(f, make_joined(m, groups, 3)));
    assert_true(wb_slice_eq(f->read.body, make_joined(m, left, 2)));
    write_and_open(f, walked(f, make_len(m, 1, bad_scope)));
    assert_int_equal(f->read.body.len, 0);
    assert_int_equal(f->read.span_count, 0);
}

static void a_bad_resource_or_scope_is_left_out_even_without_spans(void **state)
{
    fixture *f = *state;
    maker *m = &f->m;
    wb_slice bad_attr = make_len(m, 1, make_len(m, 1, WB_S("\xff")));
    wb_slice bad = make_len(m, 1, make_len(m, 1, bad_attr));
    wb_slice bad_scope = make_len(m, 2, make_len(m, 1, make_len(m, 1, WB_S("\xff"))));
    wb_slice good = make_len(m, 2, make_len(m, 2, good_ids(m)));
    wb_slice group[] = {bad_scope, good},
             groups[] = {bad, make_len(m, 1, make_joined(m, group, 2))};
    wb_batch *batch = walked(f, make_joined(m, groups, 2));
    assert_int_equal(batch->rejected_count, 0);
    write_and_open(f, batch);
    assert_true(wb_slice_eq(f->read.body, make_len(m, 1, good)));
    assert_int_equal(wb_span_batch_row(&f->read, 0).scope.len, 0);
}

/* ---- edits ----------------------------------------------------------------------------------- */

typedef struct expected {
    wb_slice key;
    wb_value value;
} expected;

/* The values of two attributes are the same text or number, or the same bytes. */
static bool same_value(wb_value a, wb_value b)
{
    if (a.type != b.type) return false;
    switch (a.type) {
    case WB_VALUE_EMPTY: return true;
    case WB_VALUE_BOOL: return a.boolean == b.boolean;
    case WB_VALUE_INT: return a.integer == b.integer;
    case WB_VALUE_DOUBLE: return a.real == b.real; /* the samples have no NaN */
    default: return wb_slice_eq(a.bytes, b.bytes);
    }
}

/* Mask, rename, append to or leave each attribute of the list, by dice; what must be there
 * afterwards. */
static size_t edit_by_dice(wb_batch *batch, wb_attrs *owner, wb_otlp_owner kind, uint64_t *dice,
                           expected *want)
{
    size_t kept = 0, added = 0;
    expected appended[64];
    for (wb_attr *a = owner->first; a; a = a->next) {
        if (a->state != WB_ATTR_KEPT) continue;
        wb_value value = wb_otlp_value(a->value);
        uint64_t roll = wb_sample_next(dice) % 4;
        if (roll == 0) {
            wb_batch_mask(batch, owner, a);
        } else if (roll == 1) {
            assert_int_equal(wb_otlp_rename_attr(batch, owner, kind, a, WB_S("renamed")), WB_OK);
            appended[added++] = (expected){WB_S("renamed"), value};
        } else {
            want[kept++] = (expected){a->key, value};
        }
    }
    if (wb_sample_next(dice) % 3 == 0) {
        wb_value value = {.type = WB_VALUE_INT, .integer = (int64_t)wb_sample_next(dice)};
        assert_int_equal(wb_otlp_append_attr(batch, owner, kind, WB_S("added"), value), WB_OK);
        appended[added++] = (expected){WB_S("added"), value};
    }
    memcpy(want + kept, appended, added * sizeof *appended);
    return kept + added;
}

static void assert_attrs(wb_slice message, wb_otlp_owner kind, const expected *want, size_t n)
{
    wb_otlp_iter it = {message};
    wb_otlp_attr attr;
    for (size_t i = 0; i < n; i++) {
        assert_true(wb_otlp_next_attr(&it, kind, &attr));
        assert_true(wb_slice_eq(attr.key, want[i].key));
        assert_true(same_value(attr.value, want[i].value));
    }
    assert_false(wb_otlp_next_attr(&it, kind, &attr));
}

/* Everything of a span but its attributes, as text. */
static wb_slice rest_of_span(fixture *f, wb_slice message)
{
    WB_AUTO_BUFFER text;
    wb_slice out;
    wb_otlp_span_detail d = wb_otlp_read_span(message);
    wb_buffer_init(&text, OUT_BYTES);
    assert_int_equal(wb_otlp_events_json(message, &text), WB_OK);
    assert_int_equal(wb_otlp_links_json(message, &text), WB_OK);
    assert_int_equal(wb_buffer_printf(&text, "%u %u %u ", d.dropped_attributes, d.dropped_events,
                                      d.dropped_links),
                     WB_OK);
    assert_int_equal(wb_buffer_add_slice(&text, d.trace_state), WB_OK);
    assert_int_equal(wb_buffer_add_slice(&text, d.status_message), WB_OK);
    assert_int_equal(wb_arena_dup(f->arena, wb_buffer_slice(&text), &out), WB_OK);
    return out;
}

static void random_edits_render_to_what_was_asked(void **state)
{
    fixture *f = *state;
    for (uint64_t seed = 0; seed < SEEDS; seed++) {
        uint64_t dice = seed ^ 0xD1CE;
        wb_batch *batch = walked(f, wb_sample_random(seed, seed % 3 == 0, f->arena));
        expected(*want)[64] = wb_arena_array(f->arena, batch->span_count + 1, sizeof *want);
        expected(*of_resource)[64] =
            wb_arena_array(f->arena, batch->resource_count + 1, sizeof *want);
        size_t counts[256], resource_counts[64];
        for (uint32_t i = 0; i < batch->resource_count; i++)
            resource_counts[i] = edit_by_dice(batch, &batch->resources[i].attrs, WB_OTLP_RESOURCE,
                                              &dice, of_resource[i]);
        for (uint32_t i = 0; i < batch->span_count; i++)
            counts[i] = edit_by_dice(batch, &batch->spans[i].attrs, WB_OTLP_SPAN, &dice, want[i]);
        write_and_open(f, batch);
        const wb_batch *again = walked(f, f->read.body);
        assert_int_equal(again->span_count, batch->span_count);
        assert_null(wb_oracle_differs(again, true));
        for (uint32_t i = 0; i < batch->span_count; i++) {
            wb_span_row row = wb_span_batch_row(&f->read, i);
            assert_row_is_span(f, i, batch);
            assert_attrs(row.span, WB_OTLP_SPAN, want[i], counts[i]);
            assert_attrs(row.resource, WB_OTLP_RESOURCE, of_resource[row.resource_index],
                         resource_counts[row.resource_index]);
            wb_slice was = wb_batch_bytes(batch, batch->spans[i].extent);
            assert_true(wb_slice_eq(rest_of_span(f, row.span), rest_of_span(f, was)));
        }
        wb_arena_reset(f->arena);
    }
}

static void rendering_twice_gives_the_same(void **state)
{
    fixture *f = *state;
    wb_batch *batch = walked(f, wb_sample_llm_spans(5, 3, f->arena));
    wb_batch_mask(batch, &batch->spans[2].attrs, batch->spans[2].attrs.first);
    write_and_open(f, batch);
    size_t first = f->out.len;
    assert_int_equal(wb_span_batch_write(batch, &f->out, NULL), WB_OK);
    assert_int_equal(f->out.len, 2 * first);
    assert_memory_equal(f->out.ptr, f->out.ptr + first, first);
}

static void a_length_that_needs_fewer_bytes_shrinks_every_envelope(void **state)
{
    fixture *f = *state;
    maker *m = &f->m; /* a span of over 127 bytes, of which over 100 are masked */
    wb_slice kv[] = {make_len(m, 1, WB_S("key.long")),
                     make_len(m, 2, make_len(m, 1, make_fill(m, 120, 'x')))};
    wb_slice span[] = {good_ids(m), make_len(m, 9, make_joined(m, kv, 2))};
    wb_batch *batch = walked(f, in_envelope(m, make_joined(m, span, 2)));
    wb_batch_mask(batch, &batch->spans[0].attrs, batch->spans[0].attrs.first);
    write_and_open(f, batch);
    assert_true(wb_slice_eq(f->read.body, in_envelope(m, good_ids(m))));
}

/* A length on two bytes that one would hold: who is not edited keeps it, beside one who is. */
static void a_long_winded_head_stays_beside_an_edited_span(void **state)
{
    fixture *f = *state;
    maker *m = &f->m;
    wb_slice ids = good_ids(m);
    const uint8_t head[] = {2 << 3 | 2, (uint8_t)(ids.len | 0x80), 0};
    wb_slice with_attr[] = {ids, make_len(m, 9, make_len(m, 1, WB_S("key.x")))};
    wb_slice spans[] = {{head, sizeof head}, ids, make_len(m, 2, make_joined(m, with_attr, 2))};
    wb_slice left[] = {spans[0], ids, make_len(m, 2, ids)};
    wb_batch *batch = walked(f, in_envelope_all(m, make_joined(m, spans, 3)));
    wb_batch_mask(batch, &batch->spans[1].attrs, batch->spans[1].attrs.first);
    write_and_open(f, batch);
    assert_true(wb_slice_eq(f->read.body, in_envelope_all(m, make_joined(m, left, 3))));
    assert_true(wb_slice_eq(wb_span_batch_row(&f->read, 0).span, ids));
}

static void a_resource_that_was_absent_can_get_attributes(void **state)
{
    fixture *f = *state;
    wb_batch *batch = walked(f, in_envelope(&f->m, good_ids(&f->m)));
    wb_value name = {.type = WB_VALUE_TEXT, .text = WB_S("planner")};
    assert_int_equal(wb_otlp_append_attr(batch, &batch->resources[0].attrs, WB_OTLP_RESOURCE,
                                         WB_S("service.name"), name),
                     WB_OK);
    write_and_open(f, batch);
    wb_slice resource = wb_span_batch_row(&f->read, 0).resource;
    assert_true(wb_slice_eq(wb_otlp_find_text(resource, WB_OTLP_RESOURCE, WB_S("service.name")),
                            name.text));
    assert_null(wb_oracle_differs(walked(f, f->read.body), true));
}

static void what_was_appended_can_be_found_and_taken_back(void **state)
{
    fixture *f = *state;
    wb_slice body = wb_sample_llm_spans(2, 5, f->arena);
    wb_batch *batch = walked(f, body);
    wb_attrs *attrs = &batch->spans[1].attrs;
    wb_value yes = {.type = WB_VALUE_BOOL, .boolean = true};
    assert_int_equal(wb_otlp_append_attr(batch, attrs, WB_OTLP_SPAN, WB_S("key.new"), yes), WB_OK);
    wb_attr *added = wb_attrs_find(attrs, WB_S("key.new"));
    assert_non_null(added);
    assert_true(wb_otlp_value(added->value).boolean);
    wb_batch_mask(batch, attrs, added);
    wb_batch_mask(batch, attrs, added);
    assert_null(wb_attrs_find(attrs, WB_S("key.new")));
    write_and_open(f, batch);
    assert_true(wb_slice_eq(f->read.body, body));
}

static void a_span_can_move_to_another_trace(void **state)
{
    fixture *f = *state;
    const wb_trace_id first = {"first trace id ."}, second = {"second trace id."};
    const wb_span_id other = {"other.id"};
    wb_slice twice[] = {good_ids(&f->m), good_ids(&f->m)}; /* protobuf takes the last of each */
    wb_batch *batch = walked(f, in_envelope(&f->m, make_joined(&f->m, twice, 2)));
    wb_span *span = &batch->spans[0];
    wb_trace_id was = span->trace_id;
    assert_int_equal(wb_otlp_set_trace_id(batch, span, first), WB_OK);
    assert_int_equal(wb_otlp_set_trace_id(batch, span, second), WB_OK);
    assert_int_equal(wb_otlp_append_link(batch, span, was, other, WB_S("a=b"), 0x101), WB_OK);
    write_and_open(f, batch);
    wb_span_row row = wb_span_batch_row(&f->read, 0);
    wb_otlp_iter it = {row.span};
    wb_otlp_link link;
    assert_memory_equal(row.trace_id.b, second.b, 16);
    assert_null(memmem(row.span.ptr, row.span.len, first.b, 16));
    assert_true(wb_otlp_next_link(&it, &link));
    assert_memory_equal(link.trace_id.b, was.b, 16);
    assert_memory_equal(link.span_id.b, other.b, 8);
    assert_true(wb_slice_eq(link.trace_state, WB_S("a=b")) && link.flags == 0x101);
    const wb_batch *again = walked(f, f->read.body);
    assert_null(wb_oracle_differs(again, true));
    assert_memory_equal(again->spans[0].trace_id.b, second.b, 16);
}

static void a_span_can_become_a_root_without_trace_state(void **state)
{
    fixture *f = *state;
    wb_slice parts[] = {good_ids(&f->m), make_len(&f->m, 4, WB_S("parentid")),
                        make_len(&f->m, 3, WB_S("a=b")), WB_S("\x85\x01\x01\x03\0\0")};
    wb_batch *batch = walked(f, in_envelope(&f->m, make_joined(&f->m, parts, 4)));
    wb_span *span = &batch->spans[0];
    assert_int_equal(span->flags, 0x301);
    assert_int_equal(wb_otlp_make_root(batch, span), WB_OK);
    assert_int_equal(wb_otlp_drop_trace_state(batch, span), WB_OK);
    assert_true(WB_ID_ABSENT(span->parent_id));
    write_and_open(f, batch);
    const wb_batch *again = walked(f, f->read.body);
    assert_null(wb_oracle_differs(again, true));
    assert_true(WB_ID_ABSENT(again->spans[0].parent_id));
    assert_int_equal(again->spans[0].flags, 0x101); /* known not to be remote */
    assert_int_equal(wb_otlp_read_span(wb_span_batch_row(&f->read, 0).span).trace_state.len, 0);
}

/* ---- spans that the sidecar writes ----------------------------------------------------------- */

static const wb_otlp_attr resource_attrs[] = {WB_ATTR_TEXT("service.name", WB_S("planner"))};
static const wb_span_origin origin = {.resource = resource_attrs,
                                      .resource_count = 1,
                                      .scope_name = {(const uint8_t *)"waybill", 7},
                                      .scope_version = {(const uint8_t *)"0.1.0", 5}};

static wb_span_draft full_draft(void)
{
    static const wb_otlp_attr attrs[] = {WB_ATTR_TEXT("waybill.span.type", WB_S("delegation")),
                                         WB_ATTR_INT("depth", 2),
                                         WB_ATTR_INT("negative", -1),
                                         WB_ATTR_BOOL("late", false),
                                         WB_ATTR_TEXT("nothing", WB_S("")),
                                         {.key = WB_S("empty")}};
    static const wb_span_link links[] = {{.trace_id = {"linked trace id."},
                                          .span_id = {"linkspan"},
                                          .trace_state = WB_S("wb=1"),
                                          .flags = 1,
                                          .attrs = attrs,
                                          .attr_count = 1}};
    return (wb_span_draft){.trace_id = {"trace id of this"},
                           .span_id = {"span id."},
                           .parent_id = {"parent.."},
                           .trace_state = WB_S("wb=abc"),
                           .flags = 0x301,
                           .name = WB_S("SendMessage"),
                           .kind = WB_SPAN_CLIENT,
                           .start_ns = 1000,
                           .end_ns = 2000,
                           .status_code = WB_SPAN_ERROR,
                           .status_message = WB_S("lost"),
                           .attrs = attrs,
                           .attr_count = WB_COUNT(attrs),
                           .links = links,
                           .link_count = 1};
}

static void build_refuses_what_no_backend_would_take(void **state)
{
    fixture *f = *state;
    wb_error err;
    wb_otlp_attr bad_attr[] = {WB_ATTR_TEXT("k", WB_S("\xff"))};
    wb_span_link bad_link[] = {{.trace_state = WB_S("\xff")}};
    wb_span_draft good = full_draft(), cases[] = {good, good, good, good, good, good};
    memset(cases[0].trace_id.b, 0, 16);
    memset(cases[1].span_id.b, 0, 8);
    cases[2].name = WB_S("\xff");
    cases[3].status_message = WB_S("\xff");
    cases[4].attrs = bad_attr;
    cases[4].attr_count = 1;
    cases[5].links = bad_link;
    for (size_t i = 0; i < WB_COUNT(cases); i++) {
        wb_span_draft two[] = {good, cases[i]};
        assert_int_equal(wb_span_batch_build(&origin, two, 2, &f->out, &err), WB_ERR_MALFORMED);
    }
    wb_span_origin bad = origin;
    bad.scope_name = WB_S("\xff");
    assert_int_equal(wb_span_batch_build(&bad, &good, 1, &f->out, &err), WB_ERR_MALFORMED);
    WB_AUTO_BUFFER small;
    wb_buffer_init(&small, 100);
    assert_int_equal(wb_span_batch_build(&origin, &good, 1, &small, &err), WB_ERR_NO_MEMORY);
    assert_int_equal(small.len + f->out.len, 0);
}

static void a_built_span_reads_back(void **state)
{
    fixture *f = *state;
    wb_span_draft drafts[] = {full_draft(), full_draft()};
    drafts[1] = (wb_span_draft){.trace_id = {"another trace id"}, .span_id = {"another."}};
    assert_int_equal(wb_span_batch_build(&origin, drafts, 2, &f->out, NULL), WB_OK);
    assert_int_equal(wb_span_batch_open(wb_buffer_slice(&f->out), &f->read, NULL), WB_OK);
    const wb_batch *batch = walked(f, f->read.body);
    assert_null(wb_oracle_differs(batch, true));
    assert_int_equal(batch->span_count, 2);
    assert_row_is_span(f, 0, batch);
    assert_row_is_span(f, 1, batch);
    wb_span_row row = wb_span_batch_row(&f->read, 0);
    assert_memory_equal(row.parent_id.b, "parent..", 8);
    assert_true(row.flags == 0x301 && row.kind == WB_SPAN_CLIENT && row.end_ns == 2000);
    assert_true(wb_slice_eq(row.name, WB_S("SendMessage")));
    wb_otlp_span_detail detail = wb_otlp_read_span(row.span);
    assert_true(wb_slice_eq(detail.trace_state, WB_S("wb=abc")));
    assert_true(wb_slice_eq(detail.status_message, WB_S("lost")));
    wb_otlp_scope scope = wb_otlp_read_scope(row.scope);
    assert_true(wb_slice_eq(scope.name, WB_S("waybill")) &&
                wb_slice_eq(scope.version, WB_S("0.1.0")));
    const expected want[] = {
        {WB_S("waybill.span.type"), {.type = WB_VALUE_TEXT, .text = WB_S("delegation")}},
        {WB_S("depth"), {.type = WB_VALUE_INT, .integer = 2}},
        {WB_S("negative"), {.type = WB_VALUE_INT, .integer = -1}},
        {WB_S("late"), {.type = WB_VALUE_BOOL, .boolean = false}}};
    assert_attrs(row.span, WB_OTLP_SPAN, want, 4);
    wb_otlp_iter it = {row.span};
    wb_otlp_link link;
    assert_true(wb_otlp_next_link(&it, &link));
    assert_memory_equal(link.span_id.b, "linkspan", 8);
    assert_attrs(link.message, WB_OTLP_LINK, want, 1);
}

static void texts_read_back_as_an_array(void **state)
{
    fixture *f = *state;
    const wb_slice texts[] = {WB_S("sh"), WB_S(""),
                              WB_S("a long one, whose length takes two bytes: "
                                   "................................................"
                                   "................................................")};
    for (size_t n = 0; n <= WB_COUNT(texts); n++) {
        wb_value array, item;
        assert_int_equal(wb_span_texts(texts, n, f->arena, &array), WB_OK);
        const wb_otlp_attr attr = {.key = WB_S("words"), .value = array};
        wb_span_draft draft = full_draft();
        draft.attrs = &attr;
        draft.attr_count = 1;
        wb_buffer_clear(&f->out);
        assert_int_equal(wb_span_batch_build(&origin, &draft, 1, &f->out, NULL), WB_OK);
        assert_int_equal(wb_span_batch_open(wb_buffer_slice(&f->out), &f->read, NULL), WB_OK);
        assert_null(wb_oracle_differs(walked(f, f->read.body), true));
        wb_value found;
        wb_slice span = wb_span_batch_row(&f->read, 0).span;
        assert_true(wb_otlp_find_attr(span, WB_OTLP_SPAN, WB_S("words"), &found));
        assert_int_equal(found.type, WB_VALUE_ARRAY);
        wb_otlp_iter it = {found.bytes};
        for (size_t i = 0; i < n; i++) {
            assert_true(wb_otlp_next_item(&it, &item));
            assert_true(wb_slice_eq(item.text, texts[i]));
        }
        assert_false(wb_otlp_next_item(&it, &item));
    }
}

static void building_nothing_gives_a_batch_without_spans(void **state)
{
    fixture *f = *state;
    assert_int_equal(wb_span_batch_build(&origin, NULL, 0, &f->out, NULL), WB_OK);
    assert_int_equal(wb_span_batch_open(wb_buffer_slice(&f->out), &f->read, NULL), WB_OK);
    assert_int_equal(f->read.span_count, 0);
}

#define CASE(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(open_refuses_what_is_no_span_batch),
        CASE(open_never_lets_a_row_point_outside),
        CASE(open_refuses_counts_whose_product_wraps),
        CASE(write_changes_nothing_when_the_buffer_is_full),
        CASE(an_untouched_batch_keeps_its_bytes),
        CASE(rejected_spans_are_left_out_and_the_rest_keeps_its_bytes),
        CASE(envelopes_that_rejection_empties_are_left_out),
        CASE(a_bad_resource_or_scope_is_left_out_even_without_spans),
        CASE(random_edits_render_to_what_was_asked),
        CASE(rendering_twice_gives_the_same),
        CASE(a_length_that_needs_fewer_bytes_shrinks_every_envelope),
        CASE(a_long_winded_head_stays_beside_an_edited_span),
        CASE(a_resource_that_was_absent_can_get_attributes),
        CASE(what_was_appended_can_be_found_and_taken_back),
        CASE(a_span_can_move_to_another_trace),
        CASE(a_span_can_become_a_root_without_trace_state),
        CASE(build_refuses_what_no_backend_would_take),
        CASE(a_built_span_reads_back),
        CASE(texts_read_back_as_an_array),
        CASE(building_nothing_gives_a_batch_without_spans),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
