/* SPDX-License-Identifier: Apache-2.0 */
/* What goes to an exporter that may have less than the journal: of whole records, and through a runner. */
#include "core/clock.h"
#include "proto/log_batch.h"
#include "proto/metric_build.h"
#include "sidecar/pipeline/redact.h"
#include "tests/support/records.h"
#include "tests/unit/delivery/runner_kit.h"

#include <sodium.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

#define LOW UINT64_C(0x00000000000000)
#define HIGH UINT64_C(0xffffffffffff00)
#define WORD(text)                                                                                 \
    {                                                                                              \
        (const uint8_t *)(text), sizeof(text) - 1                                                  \
    }

static const wb_slice user_keys[] = {WORD("user.*")};
static const wb_slice own_key[] = {WORD("own")};
static const wb_slice waybill_keys[] = {WORD("waybill.*")};

/* What an exporter may have, as the sidecar's root hands it to a runner. */
typedef struct strictness {
    wb_less less;
    wb_redact_policy policy;
    atomic_ullong rules; /* 0: it may have all; odd: as `policy` says; even: all */
    wb_redactor *redactor;
    wb_rehome *secret;
    unsigned failures; /* so many requests find no memory first */
    char dir[64];
} strictness;

static wb_status take_out(const void *self, wb_signal signal, wb_slice request, wb_buffer *room,
                          wb_slice *out, wb_error *err)
{
    strictness *s = (strictness *)(uintptr_t)self;
    wb_redacted done = {0};
    if (s->failures > 0) {
        s->failures--;
        return wb_fail(err, WB_ERR_NO_MEMORY, "as the test says");
    }
    const wb_redact_policy all = {.content = WB_CONTENT_WHOLE};
    const wb_redact_policy *policy = atomic_load(&s->rules) % 2 ? &s->policy : &all;
    return wb_redact(s->redactor, policy, signal, request, room, out, &done, err);
}

static uint64_t rules_of(const void *self)
{
    return atomic_load(&((strictness *)(uintptr_t)self)->rules);
}

static void strict_open(strictness *s, wb_redact_policy policy)
{
    *s = (strictness){.policy = policy, .rules = 1};
    s->less = (wb_less){rules_of, take_out, s};
    s->policy.again = true;
    if (s->policy.preview_characters == 0) s->policy.preview_characters = 500;
    (void)snprintf(s->dir, sizeof s->dir, "/tmp/wb-less-XXXXXX");
    assert_non_null(mkdtemp(s->dir));
    assert_int_equal(wb_rehome_open(s->dir, &s->secret, NULL), WB_OK);
    assert_int_equal(wb_redactor_new(s->secret, &s->redactor, NULL), WB_OK);
}

static void strict_close(strictness *s)
{
    char path[96];
    wb_redactor_free(s->redactor);
    wb_rehome_free(s->secret);
    (void)snprintf(path, sizeof path, "%s/" WB_REHOME_FILE, s->dir);
    (void)remove(path);
    (void)rmdir(s->dir);
}

/* ---- whole records -------------------------------------------------------------------------- */

typedef struct one_record {
    strictness strict;
    wb_select *select;
    wb_buffer payload, out;
} one_record;

static one_record *record_open(const wb_delivery_config *config, wb_redact_policy policy)
{
    static const wb_delivery_config as_it_is = {.markers = false};
    one_record *r = calloc(1, sizeof *r);
    wb_delivery_rules rules;
    assert_non_null(r);
    strict_open(&r->strict, policy);
    wb_buffer_init(&r->payload, 16 << 20);
    wb_buffer_init(&r->out, 64 << 20);
    assert_int_equal(wb_delivery_rules_read(config ? config : &as_it_is, &rules, NULL), WB_OK);
    assert_int_equal(
        wb_select_new(config ? config : &as_it_is, &rules, &r->strict.less, &r->select, NULL),
        WB_OK);
    return r;
}

static void record_close(one_record *r)
{
    wb_select_free(r->select);
    wb_buffer_done(&r->payload);
    wb_buffer_done(&r->out);
    strict_close(&r->strict);
    free(r);
}

static wb_slice applied(one_record *r, wb_entry_kind kind)
{
    const wb_entry entry = {.kind = kind, .payload = wb_buffer_slice(&r->payload)};
    bool any = false;
    wb_buffer_clear(&r->out);
    assert_int_equal(wb_select_apply(r->select, &entry, 1, &r->out, &any, NULL), WB_OK);
    assert_true(any);
    return wb_buffer_slice(&r->out);
}

static bool contains(wb_slice bytes, const char *word)
{
    return bytes.len > 0 && memmem(bytes.ptr, bytes.len, word, strlen(word)) != NULL;
}

/* Spans with an attribute, an event, a link, a resource and a scope that say who the user is. */
static void put_spans(wb_buffer *out, const wb_otlp_attr *attrs, size_t n_attrs)
{
    const wb_otlp_attr who[] = {WB_ATTR_TEXT("user.name", WB_S("ada")),
                                WB_ATTR_TEXT("service.name", WB_S("agent"))};
    const wb_span_link link = {.trace_id = {{7}}, .span_id = {{7}}, .attrs = who, .attr_count = 1};
    const wb_span_origin origin = {.resource = who, .resource_count = 2, .scope_name = WB_S("s")};
    wb_span_draft drafts[3];
    for (size_t i = 0; i < WB_COUNT(drafts); i++)
        drafts[i] = (wb_span_draft){.trace_id = {{1, (uint8_t)i}},
                                    .span_id = {{2, (uint8_t)i}},
                                    .parent_id = {{3}},
                                    .name = i == 1 ? WB_S("second") : WB_S("work"),
                                    .kind = WB_SPAN_CLIENT,
                                    .start_ns = TEST_T0 + i,
                                    .end_ns = TEST_T0 + 10 + i,
                                    .flags = 1,
                                    .status_code = i == 1 ? WB_SPAN_ERROR : WB_SPAN_UNSET,
                                    .status_message = i == 1 ? WB_S("broken") : WB_S(""),
                                    .attrs = attrs,
                                    .attr_count = n_attrs,
                                    .links = &link,
                                    .link_count = 1};
    assert_int_equal(wb_span_batch_build(&origin, drafts, WB_COUNT(drafts), out, NULL), WB_OK);
}

static void spans_lose_attributes_and_keep_their_places(void **state)
{
    (void)state;
    one_record *r =
        record_open(NULL, (wb_redact_policy){.content = WB_CONTENT_WHOLE, .drop = {user_keys, 1}});
    const wb_otlp_attr attrs[] = {WB_ATTR_TEXT("user.email", WB_S("ada@example.org")),
                                  WB_ATTR_TEXT("other", WB_S("stays"))};
    wb_span_batch before, after;
    put_spans(&r->payload, attrs, 2);
    assert_int_equal(wb_span_batch_open(wb_buffer_slice(&r->payload), &before, NULL), WB_OK);
    wb_slice out = applied(r, WB_ENTRY_SPANS);
    assert_false(contains(out, "ada"));
    assert_int_equal(wb_span_batch_open(out, &after, NULL), WB_OK);
    assert_int_equal(after.span_count, 3);
    for (uint32_t i = 0; i < 3; i++) {
        wb_span_row was = wb_span_batch_row(&before, i), is = wb_span_batch_row(&after, i);
        assert_true(WB_ID_EQ(was.trace_id, is.trace_id) && WB_ID_EQ(was.span_id, is.span_id) &&
                    WB_ID_EQ(was.parent_id, is.parent_id));
        assert_true(was.start_ns == is.start_ns && was.end_ns == is.end_ns && was.kind == is.kind &&
                    was.status_code == is.status_code && was.flags == is.flags);
        assert_true(wb_slice_eq(was.name, is.name) && wb_slice_eq(was.scope, is.scope));
        assert_true(
            wb_slice_eq(wb_otlp_find_text(is.span, WB_OTLP_SPAN, WB_S("other")), WB_S("stays")));
        assert_true(wb_slice_eq(
            wb_otlp_find_text(is.resource, WB_OTLP_RESOURCE, WB_S("service.name")), WB_S("agent")));
    }
    assert_true(contains(out, "broken"));
    assert_true(wb_slice_eq(applied(r, WB_ENTRY_MARKERS), out));
    record_close(r);
}

static void what_has_nothing_to_lose_goes_on_byte_for_byte(void **state)
{
    (void)state;
    static const wb_entry_kind others[] = {WB_ENTRY_DELEGATION, WB_ENTRY_ACCEPTANCE};
    one_record *r = record_open(NULL, (wb_redact_policy){.content = WB_CONTENT_PREVIEW});
    const wb_otlp_attr attrs[] = {WB_ATTR_TEXT("input.value", WB_S("short"))};
    put_spans(&r->payload, attrs, 1);
    assert_true(wb_slice_eq(applied(r, WB_ENTRY_SPANS), wb_buffer_slice(&r->payload)));
    record_close(r);
    r = record_open(NULL, (wb_redact_policy){.content = WB_CONTENT_NONE, .drop = {user_keys, 1}});
    put_spans(&r->payload, attrs, 1);
    atomic_store(&r->strict.rules, 0); /* until a reload */
    assert_true(wb_slice_eq(applied(r, WB_ENTRY_SPANS), wb_buffer_slice(&r->payload)));
    atomic_store(&r->strict.rules, 1);
    assert_false(contains(applied(r, WB_ENTRY_SPANS), "short"));
    for (size_t i = 0; i < WB_COUNT(others); i++) /* are no telemetry */
        assert_true(wb_slice_eq(applied(r, others[i]), wb_buffer_slice(&r->payload)));
    wb_buffer_clear(&r->payload);
    assert_int_equal(wb_buffer_add_slice(&r->payload, WB_S("no span batch")), WB_OK);
    static const wb_entry_kind kinds[] = {WB_ENTRY_SPANS, WB_ENTRY_MARKERS, WB_ENTRY_LOGS};
    for (size_t i = 0; i < WB_COUNT(kinds); i++) /* the exporter's to refuse */
        assert_true(wb_slice_eq(applied(r, kinds[i]), WB_S("no span batch")));
    record_close(r);
}

static int64_t integer_of(wb_slice message, wb_otlp_owner owner, wb_slice key, size_t *n)
{
    wb_otlp_iter it = {message};
    wb_otlp_attr attr;
    int64_t found = -1;
    *n = 0;
    while (wb_otlp_next_attr(&it, owner, &attr))
        if (wb_slice_eq(attr.key, key)) {
            if ((*n)++ == 0) found = attr.value.integer;
        }
    return found;
}

static void a_second_cut_says_the_first_length(void **state)
{
    (void)state;
    one_record *r = record_open(
        NULL, (wb_redact_policy){.content = WB_CONTENT_PREVIEW, .preview_characters = 20});
    static const char text[] = "what a user said, of which a beginning was kept";
    const wb_otlp_attr attrs[] = {WB_ATTR_TEXT("input.value", wb_slice_str(text)),
                                  WB_ATTR_INT("waybill.cut.input.value", 36000),
                                  WB_ATTR_TEXT("output.value", wb_slice_str(text))};
    wb_span_batch batch;
    size_t n;
    put_spans(&r->payload, attrs, 3);
    assert_int_equal(wb_span_batch_open(applied(r, WB_ENTRY_SPANS), &batch, NULL), WB_OK);
    wb_span_row row = wb_span_batch_row(&batch, 2);
    wb_slice input = wb_otlp_find_text(row.span, WB_OTLP_SPAN, WB_S("input.value"));
    assert_true(wb_slice_eq(input, WB_S("what a user said, o\u2026")));
    assert_int_equal(integer_of(row.span, WB_OTLP_SPAN, WB_S("waybill.cut.input.value"), &n),
                     36000);
    assert_int_equal(n, 1);
    assert_int_equal(integer_of(row.span, WB_OTLP_SPAN, WB_S("waybill.cut.output.value"), &n),
                     sizeof text - 1);
    assert_int_equal(n, 1);
    record_close(r);
}

static void a_length_goes_where_its_text_goes(void **state)
{
    (void)state;
    static const wb_slice hashed[] = {WORD("note")};
    one_record *r = record_open(NULL, (wb_redact_policy){.content = WB_CONTENT_NONE,
                                                         .drop = {user_keys, 1},
                                                         .hash = {hashed, 1}});
    const wb_otlp_attr attrs[] = {
        WB_ATTR_TEXT("user.note", WB_S("ada")),    WB_ATTR_INT("waybill.cut.user.note", 36001),
        WB_ATTR_TEXT("note", WB_S("private")),     WB_ATTR_INT("waybill.cut.note", 36002),
        WB_ATTR_TEXT("input.value", WB_S("said")), WB_ATTR_INT("waybill.cut.input.value", 36003),
        WB_ATTR_INT("waybill.cut.other", 36004)};
    wb_span_batch batch;
    size_t n;
    put_spans(&r->payload, attrs, WB_COUNT(attrs));
    wb_slice out = applied(r, WB_ENTRY_SPANS);
    assert_int_equal(wb_span_batch_open(out, &batch, NULL), WB_OK);
    wb_span_row row = wb_span_batch_row(&batch, 0);
    assert_int_equal(integer_of(row.span, WB_OTLP_SPAN, WB_S("waybill.cut.other"), &n), 36004);
    assert_false(contains(out, "waybill.cut.user") || contains(out, "waybill.cut.note") ||
                 contains(out, "waybill.cut.input") || contains(out, "private"));
    char hex[2 * WB_REHOME_PSEUDONYM_LEN + 1];
    uint8_t hash[WB_REHOME_PSEUDONYM_LEN];
    wb_rehome_pseudonym(r->strict.secret, WB_S("private"), hash);
    wb_hex(hash, sizeof hash, hex);
    assert_true(
        wb_slice_eq(wb_otlp_find_text(row.span, WB_OTLP_SPAN, WB_S("note")), wb_slice_str(hex)));
    record_close(r);
}

static void logs_lose_theirs(void **state)
{
    (void)state;
    const wb_otlp_attr attrs[] = {WB_ATTR_TEXT("user.name", WB_S("ada")),
                                  WB_ATTR_TEXT("other", WB_S("stays"))};
    const wb_span_origin origin = {.resource = attrs, .resource_count = 2};
    const wb_log_draft logs[] = {
        {.time_ns = 5, .body = WB_S("plain"), .attrs = attrs, .attr_count = 2},
        {.time_ns = 6,
         .observed_ns = 7,
         .severity = WB_SEVERITY_WARN,
         .trace_id = {{1}},
         .span_id = {{2}},
         .event_name = WB_S("gen_ai.user.message"),
         .body = WB_S("said")}};
    static const wb_slice added[] = {WORD("deployment=eu"), WORD("user.team=red")};
    const wb_delivery_config config = {.resource_attributes = added, .n_resource_attributes = 2};
    one_record *r = record_open(
        &config, (wb_redact_policy){.content = WB_CONTENT_NONE, .drop = {user_keys, 1}});
    wb_log_batch batch;
    assert_int_equal(wb_log_batch_build(&origin, logs, 2, &r->payload, NULL), WB_OK);
    wb_slice out = applied(r, WB_ENTRY_LOGS);
    assert_false(contains(out, "ada") || contains(out, "said"));
    assert_int_equal(wb_log_batch_open(out, &batch, NULL), WB_OK);
    assert_int_equal(batch.log_count, 2);
    wb_log_row first = wb_log_batch_row(&batch, 0), second = wb_log_batch_row(&batch, 1);
    assert_true(wb_slice_eq(wb_otlp_read_log(first.log).body.text, WB_S("plain")));
    assert_true(
        wb_slice_eq(wb_otlp_find_text(first.log, WB_OTLP_LOG, WB_S("other")), WB_S("stays")));
    assert_true(second.time_ns == 6 && second.observed_ns == 7 && second.trace_id.b[0] == 1 &&
                second.span_id.b[0] == 2 && second.severity == WB_SEVERITY_WARN);
    assert_true(wb_slice_eq(second.event_name, WB_S("gen_ai.user.message")));
    /* What the operator adds is no agent's word. */
    assert_true(wb_slice_eq(wb_otlp_find_text(first.resource, WB_OTLP_RESOURCE, WB_S("user.team")),
                            WB_S("red")));
    assert_true(wb_slice_eq(wb_otlp_find_text(first.resource, WB_OTLP_RESOURCE, WB_S("deployment")),
                            WB_S("eu")));
    record_close(r);
}

static void metrics_lose_theirs(void **state)
{
    (void)state;
    const wb_otlp_attr attrs[] = {WB_ATTR_TEXT("user.name", WB_S("ada")),
                                  WB_ATTR_TEXT("other", WB_S("stays"))};
    const wb_span_origin origin = {.resource = attrs, .resource_count = 2};
    const wb_metric_point point = {.attrs = attrs, .attr_count = 2, .value = 3};
    const wb_metric_draft metric = {.name = WB_S("calls"), .points = &point, .point_count = 1};
    one_record *r =
        record_open(NULL, (wb_redact_policy){.content = WB_CONTENT_WHOLE, .drop = {user_keys, 1}});
    assert_int_equal(wb_metrics_build(&origin, &metric, 1, TEST_T0, TEST_T0 + 1, &r->payload, NULL),
                     WB_OK);
    assert_true(contains(wb_buffer_slice(&r->payload), "ada"));
    wb_slice out = applied(r, WB_ENTRY_METRICS);
    assert_false(contains(out, "ada") || contains(out, "user.name"));
    assert_true(contains(out, "stays") && contains(out, "calls"));
    record_close(r);
}

/* A fault of ours, for which nothing may get out: what the index says is another body's. */
static void a_body_that_is_not_the_indexs_goes_on_without_an_index(void **state)
{
    (void)state;
    one_record *r =
        record_open(NULL, (wb_redact_policy){.content = WB_CONTENT_WHOLE, .drop = {user_keys, 1}});
    const wb_otlp_attr attrs[] = {WB_ATTR_TEXT("user.email", WB_S("ada@example.org"))};
    wb_span_batch batch;
    put_spans(&r->payload, attrs, 1);
    assert_int_equal(wb_span_batch_open(wb_buffer_slice(&r->payload), &batch, NULL), WB_OK);
    r->payload.ptr[(size_t)(batch.span_rows - r->payload.ptr)] ^= 2; /* the first trace id */
    wb_slice out = applied(r, WB_ENTRY_SPANS);
    assert_false(contains(out, "ada"));
    assert_int_equal(wb_span_batch_open(out, &batch, NULL), WB_ERR_CORRUPT);
    record_close(r);
}

/* ---- through a runner ----------------------------------------------------------------------- */

static const char *state_of(const fixture *f, uint64_t span)
{
    for (size_t i = 0; i < f->script.n_spans; i++)
        if (f->script.spans[i].span == span) return f->script.spans[i].trace_state;
    return NULL;
}

static void rules_that_keep_see_what_does_not_go_on(void **state)
{
    fixture *f = *state;
    strictness strict;
    static const wb_slice keep[] = {WORD("refused_token")};
    static const wb_slice added[] = {WORD("own=ours")};
    const wb_delivery_config config = {.ratio = "0.5",
                                       .keep = keep,
                                       .n_keep = 1,
                                       .slow_ms = 1000,
                                       .hold = "0",
                                       .attributes = added,
                                       .n_attributes = 1};
    const span_spec specs[] = {{.trace = LOW + 1, .span = 1, .attr = "waybill.token.error"},
                               {.trace = LOW + 2, .span = 2},
                               {.trace = HIGH, .span = 3, .attr = "own"}};
    const wb_slice rules[] = {waybill_keys[0], own_key[0]};
    strict_open(&strict, (wb_redact_policy){.content = WB_CONTENT_WHOLE, .drop = {rules, 2}});
    f->options.delivery = &config;
    f->options.less = &strict.less;
    uint64_t seq = record_of(f, specs, WB_COUNT(specs));
    start(f);
    EVENTUALLY(cursor_is(f, seq));
    finish(f);
    assert_int_equal(f->script.n_spans, 2);
    assert_string_equal(state_of(f, 1), "ot=th:0");
    assert_string_equal(state_of(f, 3), "ot=th:8");
    wb_slice sent = wb_buffer_slice(&f->script.first_payload);
    assert_false(contains(sent, "waybill.") || contains(sent, "value"));
    assert_true(contains(sent, "ours"));
    strict_close(&strict);
}

static void nothing_goes_on_that_could_not_be_made_less(void **state)
{
    fixture *f = *state;
    strictness strict;
    const span_spec spec = {.trace = HIGH, .span = 1, .attr = "own"};
    strict_open(&strict, (wb_redact_policy){.content = WB_CONTENT_WHOLE, .drop = {own_key, 1}});
    strict.failures = 3;
    f->options.less = &strict.less;
    uint64_t seq = record_of(f, &spec, 1);
    start(f);
    EVENTUALLY(cursor_is(f, seq));
    wb_runner_stats s = stats(f);
    finish(f);
    assert_int_equal(s.failed_sends, 3);
    assert_int_equal(s.sent_records, 1);
    assert_int_equal(f->script.n_sends, 1);
    assert_false(contains(wb_buffer_slice(&f->script.first_payload), "own"));
    strict_close(&strict);
}

static void what_is_refused_is_found_and_parked_as_it_was_sent(void **state)
{
    fixture *f = *state;
    strictness strict;
    span_spec specs[9];
    char parked[64 * 1024];
    for (uint64_t i = 0; i < WB_COUNT(specs); i++)
        specs[i] = (span_spec){.trace = HIGH, .span = i + 1, .attr = "own"};
    strict_open(&strict, (wb_redact_policy){.content = WB_CONTENT_WHOLE, .drop = {own_key, 1}});
    f->options.ops = &script_parts_ops;
    f->options.less = &strict.less;
    f->script.bad_span[0] = 4;
    (void)record_of(f, specs, WB_COUNT(specs));
    uint64_t seq = record_of(f, specs, 2);
    start(f);
    EVENTUALLY(cursor_is(f, seq));
    wb_runner_stats s = stats(f);
    finish(f);
    assert_int_equal(s.parked_records, 1);
    assert_int_equal(f->script.n_spans, WB_COUNT(specs) - 1 + 2);
    assert_false(has_span(f, 4));
    FILE *file = fopen(f->parked, "r");
    assert_non_null(file);
    size_t n = fread(parked, 1, sizeof parked, file);
    fclose(file);
    assert_true(contains(wb_slice_of(parked, n), "776f726b"));    /* work */
    assert_false(contains(wb_slice_of(parked, n), "76616c7565")); /* value */
    strict_close(&strict);
}

static void what_waits_is_made_anew_by_the_rules_of_a_reload(void **state)
{
    fixture *f = *state;
    strictness strict;
    const span_spec spec = {.trace = HIGH, .span = 1, .attr = "own"};
    uint64_t seq = 0;
    strict_open(&strict, (wb_redact_policy){.content = WB_CONTENT_WHOLE, .drop = {own_key, 1}});
    atomic_store(&strict.rules, 2);
    f->options.less = &strict.less;
    f->script.failures = UINT32_MAX;
    f->script.failure = WB_ERR_UNAVAILABLE;
    f->script.fail_send_from = 1;
    for (unsigned i = 0; i < 5; i++) seq = record_of(f, &spec, 1);
    start(f);
    EVENTUALLY(cursor_is(f, seq)); /* the first send goes through */
    for (unsigned i = 0; i < 5; i++) seq = record_of(f, &spec, 1);
    EVENTUALLY(send_count(f) >= 3);
    pthread_mutex_lock(&f->script.lock);
    size_t before = f->script.n_taken;
    uint64_t longer = f->script.taken[0].len;
    atomic_store(&strict.rules, 3);
    f->script.failures = 0;
    pthread_mutex_unlock(&f->script.lock);
    EVENTUALLY(cursor_is(f, seq));
    finish(f);
    assert_int_equal(before, 5);
    assert_int_equal(f->script.n_taken, 10);
    for (size_t i = before; i < 10; i++) assert_true(f->script.taken[i].len < longer);
    assert_taken_once_in_order(f);
    strict_close(&strict);
}

static void a_batch_that_is_given_back_can_be_given_up(void **state)
{
    fixture *f = *state;
    strictness strict;
    const span_spec spec = {.trace = HIGH, .span = 1, .attr = "own"};
    strict_open(&strict, (wb_redact_policy){.content = WB_CONTENT_WHOLE, .drop = {own_key, 1}});
    f->options.less = &strict.less;
    f->script.failures = UINT32_MAX;
    f->script.failure = WB_ERR_UNAVAILABLE;
    uint64_t seq = 0;
    for (unsigned i = 0; i < 8; i++) seq = record_of(f, &spec, 1);
    start(f);
    EVENTUALLY(send_count(f) >= 2);
    for (uint64_t rules = 3; rules < 9; rules += 2) {
        size_t sends = send_count(f);
        atomic_store(&strict.rules, rules);
        EVENTUALLY(send_count(f) > sends + 1);
    }
    (void)wb_runner_skip_begin(f->runner);
    atomic_store(&strict.rules, 11);
    wb_runner_skip_end(f->runner, seq - 3, 0); /* all of it was claimed: none but those in hand */
    EVENTUALLY(stats(f).skipped_records == 5);
    pthread_mutex_lock(&f->script.lock);
    f->script.failures = 0;
    pthread_mutex_unlock(&f->script.lock);
    EVENTUALLY(cursor_is(f, seq));
    wb_runner_stats s = stats(f);
    finish(f);
    assert_int_equal(s.skipped_records, 5);
    assert_int_equal(s.sent_records, 3);
    assert_int_equal(f->script.n_taken, 3);
    strict_close(&strict);
}

#define RUNNER_TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(spans_lose_attributes_and_keep_their_places),
        cmocka_unit_test(what_has_nothing_to_lose_goes_on_byte_for_byte),
        cmocka_unit_test(a_second_cut_says_the_first_length),
        cmocka_unit_test(a_length_goes_where_its_text_goes),
        cmocka_unit_test(logs_lose_theirs),
        cmocka_unit_test(metrics_lose_theirs),
        cmocka_unit_test(a_body_that_is_not_the_indexs_goes_on_without_an_index),
        RUNNER_TEST(rules_that_keep_see_what_does_not_go_on),
        RUNNER_TEST(nothing_goes_on_that_could_not_be_made_less),
        RUNNER_TEST(what_is_refused_is_found_and_parked_as_it_was_sent),
        RUNNER_TEST(what_waits_is_made_anew_by_the_rules_of_a_reload),
        RUNNER_TEST(a_batch_that_is_given_back_can_be_given_up),
    };
    if (sodium_init() < 0) return 1;
    return cmocka_run_group_tests_name("runner_less", tests, NULL, NULL);
}
