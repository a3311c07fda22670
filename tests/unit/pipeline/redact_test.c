/* SPDX-License-Identifier: Apache-2.0 */
/* Redaction of single requests. That no secret of a long list gets through in any place, and what stores and
 * backends then have, is tested through a sidecar in tests/integration/test_redaction.py. */
#include "sidecar/pipeline/redact.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "proto/otlp_walk.h"
#include "tests/support/otlp_sample.h"
#include "tests/support/wire_maker.h"

enum { ARENA_BYTES = 16 * 1024 * 1024, SPANS = 50 };

typedef struct fixture {
    wb_redactor *redactor;
    wb_arena *arena;
    wb_buffer room;
    wb_redacted done;
    maker m;
} fixture;

static const wb_redact_policy defaults = {.secrets = true,
                                          .content = WB_CONTENT_PREVIEW,
                                          .preview_characters = 500,
                                          .verbose_bytes = 204800};

static int setup(void **state)
{
    fixture *f = calloc(1, sizeof *f);
    assert_non_null(f);
    f->arena = wb_arena_new(ARENA_BYTES);
    f->m = (maker){.arena = f->arena};
    wb_buffer_init(&f->room, ARENA_BYTES);
    assert_int_equal(wb_redactor_new(NULL, &f->redactor, NULL), WB_OK);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    fixture *f = *state;
    wb_buffer_done(&f->room);
    wb_redactor_free(f->redactor);
    wb_arena_free(f->arena);
    free(f);
    return 0;
}

static wb_slice redacted(fixture *f, const wb_redact_policy *policy, wb_slice request)
{
    wb_slice out = {0};
    f->done = (wb_redacted){0};
    assert_int_equal(
        wb_redact(f->redactor, policy, WB_SIGNAL_TRACES, request, &f->room, &out, &f->done, NULL),
        WB_OK);
    return out;
}

static wb_slice text_value(maker *m, wb_slice text) { return make_len(m, 1, text); }

static wb_slice attr(maker *m, const char *key, wb_slice any_value)
{
    wb_slice kv[] = {make_len(m, 1, wb_slice_str(key)), make_len(m, 2, any_value)};
    return make_len(m, 9, make_joined(m, kv, 2));
}

static wb_slice span(fixture *f, wb_slice first, wb_slice second)
{
    wb_slice parts[] = {good_ids(&f->m), first, second};
    return in_envelope(&f->m, make_joined(&f->m, parts, 3));
}

/* The one span's attribute of that key. */
static wb_value value_of(fixture *f, wb_slice request, const char *key)
{
    wb_batch *batch = NULL;
    wb_value value = {.type = WB_VALUE_EMPTY};
    assert_int_equal(wb_otlp_walk(request, NULL, f->arena, &batch, NULL), WB_OK);
    assert_int_equal(batch->span_count, 1);
    (void)wb_otlp_find_attr(wb_batch_bytes(batch, batch->spans[0].extent), WB_OTLP_SPAN,
                            wb_slice_str(key), &value);
    return value;
}

static void says(fixture *f, wb_slice request, const char *key, const char *text)
{
    wb_value value = value_of(f, request, key);
    assert_int_equal(value.type, WB_VALUE_TEXT);
    assert_int_equal(value.text.len, strlen(text));
    assert_memory_equal(value.text.ptr, text, value.text.len);
}

static void what_has_nothing_to_hide_is_not_copied(void **state)
{
    fixture *f = *state;
    wb_slice body = wb_sample_llm_spans(SPANS, 1, f->arena);
    wb_slice out = redacted(f, &defaults, body);
    assert_ptr_equal(out.ptr, body.ptr);
    assert_int_equal(out.len, body.len);
    assert_int_equal(f->room.cap, 0);
    out = redacted(f, &defaults, WB_S(""));
    assert_int_equal(out.len, 0);
}

static void what_is_beside_a_secret_stays_byte_for_byte(void **state)
{
    fixture *f = *state;
    maker *m = &f->m;
    wb_slice other = attr(m, "other", text_value(m, make_fill(m, 400, 'x')));
    wb_slice out = redacted(
        f, &defaults, span(f, attr(m, "note", text_value(m, WB_S("pwd=hunter2 and more"))), other));
    says(f, out, "note", "pwd=*** and more");
    assert_non_null(memmem(out.ptr, out.len, other.ptr, other.len));
    assert_int_equal(f->done.secrets, 1);
}

static void a_name_of_secrets_masks_whatever_it_has(void **state)
{
    fixture *f = *state;
    maker *m = &f->m;
    static const uint8_t seven[] = {0x18, 7}, yes[] = {0x10, 1};
    wb_slice out = redacted(f, &defaults,
                            span(f, attr(m, "db.password", wb_slice_of(seven, sizeof seven)),
                                 attr(m, "has.password", wb_slice_of(yes, sizeof yes))));
    assert_int_equal(value_of(f, out, "db.password").integer, 0);
    assert_true(value_of(f, out, "has.password").boolean);
    out = redacted(f, &defaults,
                   span(f, attr(m, "gen_ai.usage.max_tokens", wb_slice_of(seven, sizeof seven)),
                        attr(m, "api_key", text_value(m, WB_S("a")))));
    assert_int_equal(value_of(f, out, "gen_ai.usage.max_tokens").integer, 7);
    says(f, out, "api_key", "*");
}

static void a_preview_says_how_long_the_text_was(void **state)
{
    fixture *f = *state;
    maker *m = &f->m;
    wb_redact_policy policy = defaults;
    policy.preview_characters = 8;
    wb_slice request = span(f, attr(m, "input.value", text_value(m, WB_S("0123456789"))),
                            attr(m, "other", text_value(m, WB_S("0123456789"))));
    wb_slice out = redacted(f, &policy, request);
    says(f, out, "input.value", "0123456\xE2\x80\xA6");
    says(f, out, "other", "0123456789");
    assert_int_equal(f->done.cuts, 1);
    assert_int_equal(value_of(f, out, "waybill.cut.input.value").integer, 10);
    wb_slice kept, again;
    assert_int_equal(wb_arena_dup(f->arena, out, &kept), WB_OK);
    again = redacted(f, &policy, kept);
    assert_true(wb_slice_eq(again, kept));
    policy.content = WB_CONTENT_WHOLE;
    assert_true(wb_slice_eq(redacted(f, &policy, request), request));
    policy.content = WB_CONTENT_NONE;
    assert_int_equal(value_of(f, redacted(f, &policy, request), "input.value").type,
                     WB_VALUE_EMPTY);
}

static void the_first_rule_that_fits_holds(void **state)
{
    fixture *f = *state;
    maker *m = &f->m;
    static const wb_slice drop[] = {{(const uint8_t *)"a.*", 3}},
                          cut[] = {{(const uint8_t *)"*.b*", 4}};
    wb_redact_policy policy = defaults;
    policy.preview_characters = 8;
    policy.drop = (wb_redact_rule){drop, 1};
    policy.cut = (wb_redact_rule){cut, 1};
    wb_slice out = redacted(f, &policy,
                            span(f, attr(m, "a.b", text_value(m, WB_S("0123456789"))),
                                 attr(m, "c.b.d", text_value(m, WB_S("0123456789")))));
    assert_int_equal(value_of(f, out, "a.b").type, WB_VALUE_EMPTY);
    says(f, out, "c.b.d", "0123456\xE2\x80\xA6");
}

static void what_is_malformed_is_searched_as_a_text(void **state)
{
    fixture *f = *state;
    wb_slice out =
        redacted(f, &defaults, WB_S("\x0a\xff\xff password=hunter2 of a broken request"));
    assert_null(memmem(out.ptr, out.len, "hunter2", 7));
}

static void a_small_buffer_is_an_error(void **state)
{
    fixture *f = *state;
    maker *m = &f->m;
    wb_slice out = {0},
             request = span(f, attr(m, "note", text_value(m, WB_S("password=hunter2"))), WB_S(""));
    for (size_t limit = 0; limit < 40; limit++) {
        WB_AUTO_BUFFER room;
        wb_buffer_init(&room, limit);
        assert_int_equal(wb_redact(f->redactor, &defaults, WB_SIGNAL_TRACES, request, &room, &out,
                                   &f->done, NULL),
                         WB_ERR_NO_MEMORY);
    }
}

#define WITH(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH(what_has_nothing_to_hide_is_not_copied),
        WITH(what_is_beside_a_secret_stays_byte_for_byte),
        WITH(a_name_of_secrets_masks_whatever_it_has),
        WITH(a_preview_says_how_long_the_text_was),
        WITH(the_first_rule_that_fits_holds),
        WITH(what_is_malformed_is_searched_as_a_text),
        WITH(a_small_buffer_is_an_error),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
