/* SPDX-License-Identifier: Apache-2.0 */
/* The enrich stage, run as receivers run it: with a view that plays the sidecar. That a real acceptance's spans
 * get its session, through a sidecar, is in tests/integration/test_enrich.py. */
#include "sidecar/pipeline/enrich.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "proto/log_batch.h"
#include "proto/otlp_walk.h"
#include "proto/span_batch.h"
#include "sidecar/pipeline/guard.h"
#include "sidecar/pipeline/pipeline.h"
#include "sidecar/pipeline/semconv.h"
#include "tests/support/otlp_sample.h"
#include "tests/support/wire_maker.h"

enum {
    ARENA_BYTES = 64 * 1024 * 1024,
    SEEDS = 1000,
    FIELDS_MAX = 12,
    STAMPS = 200,
    ID_HEX = 32,
    ADDED_MAX = 2 * 1024 * 1024
};

/* Acceptances whose id begins with 'a' are known; those that begin with "ab" have no session. */
#define KNOWN "a0000000000000000000000000000001"
#define OTHER "a0000000000000000000000000000002"
#define NO_SESSION "ab000000000000000000000000000001"
#define LEAKY "ac000000000000000000000000000001" /* whose session is SECRET */
#define SECRET "https://u:hunter2hunter2@h/"
#define FOREIGN "f0000000000000000000000000000001"

typedef struct fixture {
    wb_pipeline *pipeline; /* whose keys are asked for */
    void *stage;
    wb_arena *arena;
    wb_buffer out;
    wb_span_batch read;
    maker m;
    wb_stage_view view;
    size_t asked, asked_for; /* how often the view was, and for how many acceptances */
} fixture;

static wb_status look_up(void *ctx, wb_stamp *stamps, size_t n, wb_arena *arena)
{
    fixture *f = ctx;
    f->asked++;
    f->asked_for += n;
    for (size_t i = 0; i < n; i++) {
        wb_slice id = wb_otlp_value(stamps[i].value).text;
        assert_int_equal(stamps[i].session.len, 0);
        stamps[i].is_known = id.len == ID_HEX && id.ptr[0] == 'a';
        if (!stamps[i].is_known || id.ptr[1] == 'b') continue;
        if (id.ptr[1] == 'c') {
            stamps[i].session = WB_S(SECRET);
            continue;
        }
        const char *session = wb_arena_printf(arena, "session-%.*s", 4, id.ptr + ID_HEX - 4);
        if (!session) return WB_ERR_NO_MEMORY;
        stamps[i].session = wb_slice_str(session);
    }
    return WB_OK;
}

/* "key=value" each. */
static const wb_attr_list *list_of(wb_arena *arena, wb_otlp_owner kind, const char *const *pairs,
                                   size_t n)
{
    wb_attr_wish wishes[WB_ATTR_LIST_MAX] = {0};
    const wb_attr_list *list = NULL;
    for (size_t i = 0; i < n; i++) {
        const char *equals = strchr(pairs[i], '=');
        assert_non_null(equals);
        wishes[i].attr = (wb_otlp_attr){wb_slice_of(pairs[i], (size_t)(equals - pairs[i])),
                                        {.type = WB_VALUE_TEXT, .text = wb_slice_str(equals + 1)}};
    }
    assert_int_equal(wb_attr_list_make(wishes, n, kind, arena, &list), WB_OK);
    return list;
}

static int setup(void **state)
{
    static const char *const configured[] = {"region=north", "team=tides"};
    static const char *const of_spans[] = {"tier=gold", "gold.digger=no", "empty="};
    fixture *f = calloc(1, sizeof *f);
    assert_non_null(f);
    f->arena = wb_arena_new(ARENA_BYTES);
    f->m = (maker){.arena = f->arena};
    wb_buffer_init(&f->out, ARENA_BYTES);
    assert_int_equal(wb_pipeline_new(&f->pipeline, NULL), WB_OK);
    assert_int_equal(wb_enrich_stage.open(NULL, &f->stage, NULL), WB_OK);
    f->view = (wb_stage_view){.look_up = look_up, .inherits = true, .ctx = f};
    f->view.to_resources[0] = list_of(f->arena, WB_OTLP_RESOURCE, configured, 2);
    f->view.to_spans = list_of(f->arena, WB_OTLP_SPAN, of_spans, 3);
    assert_int_equal(wb_enrich_agent(WB_S("spiffe://a/planner"), WB_S("planner"), WB_S("none"),
                                     f->arena, &f->view.to_resources[1]),
                     WB_OK);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    fixture *f = *state;
    wb_buffer_done(&f->out);
    wb_pipeline_free(f->pipeline);
    wb_enrich_stage.close(f->stage);
    wb_arena_free(f->arena);
    free(f);
    return 0;
}

static wb_batch *walked(fixture *f, wb_slice body)
{
    wb_batch *batch = NULL;
    assert_int_equal(wb_otlp_walk(body, wb_pipeline_keys(f->pipeline), f->arena, &batch, NULL),
                     WB_OK);
    return batch;
}

static wb_slice written(fixture *f, const wb_batch *batch)
{
    wb_slice out;
    wb_buffer_clear(&f->out);
    assert_int_equal(wb_span_batch_write(batch, &f->out, NULL), WB_OK);
    assert_int_equal(wb_span_batch_open(wb_buffer_slice(&f->out), &f->read, NULL), WB_OK);
    assert_int_equal(wb_arena_dup(f->arena, f->read.body, &out), WB_OK);
    return out;
}

/* Of the stage alone. */
static wb_slice enriched(fixture *f, wb_slice body)
{
    wb_batch *batch = walked(f, body);
    assert_int_equal(wb_enrich_stage.apply(f->stage, &f->view, batch, NULL), WB_OK);
    return written(f, batch);
}

/* ---- what arrives ---- */

static wb_slice text(maker *m, uint32_t field, const char *key, const char *value)
{
    wb_slice kv[] = {make_len(m, 1, wb_slice_str(key)),
                     make_len(m, 2, make_len(m, 1, wb_slice_str(value)))};
    return make_len(m, field, make_joined(m, kv, 2));
}

static wb_slice span(maker *m, const char *key, const char *value)
{
    wb_slice fields[] = {good_ids(m), key ? text(m, WB_OTLP_SPAN, key, value) : (wb_slice){0}};
    return make_len(m, 2, make_joined(m, fields, 2));
}

/* A request of one resource, with attributes "key=value", and one span. */
static wb_slice with_resource(maker *m, const char *const *pairs, size_t n)
{
    wb_slice attrs[FIELDS_MAX];
    char key[64];
    for (size_t i = 0; i < n; i++) {
        const char *equals = strchr(pairs[i], '=');
        (void)snprintf(key, sizeof key, "%.*s", (int)(equals - pairs[i]), pairs[i]);
        attrs[i] = text(m, WB_OTLP_RESOURCE, key, equals + 1);
    }
    wb_slice group[] = {make_len(m, 1, make_joined(m, attrs, n)),
                        make_len(m, 2, span(m, NULL, NULL))};
    return make_len(m, 1, make_joined(m, group, 2));
}

/* The text of the only attribute of that key; NULL: none. */
static const char *only(fixture *f, wb_slice message, wb_otlp_owner kind, const char *key)
{
    wb_otlp_attr attr;
    const char *found = NULL;
    wb_otlp_iter it = {message};
    while (wb_otlp_next_attr(&it, kind, &attr)) {
        if (!wb_slice_eq(attr.key, wb_slice_str(key))) continue;
        if (found) fail_msg("%s is there twice", key);
        assert_int_equal(attr.value.type, WB_VALUE_TEXT);
        found = wb_arena_printf(f->arena, "%.*s", WB_SLICE_ARG(attr.value.text));
        assert_non_null(found);
    }
    return found;
}

static void says(fixture *f, wb_slice message, wb_otlp_owner kind, const char *key,
                 const char *expected)
{
    const char *found = only(f, message, kind, key);
    if (expected ? !found || strcmp(found, expected) != 0 : found != NULL)
        fail_msg("%s: %s, not %s", key, found ? found : "nothing", expected ? expected : "nothing");
}

/* ---- resources ---- */

typedef struct resource_case {
    const char *arrived[4];
    const char *expected[7]; /* of the names below, in their order */
} resource_case;
static const char *const resource_names[] = {"waybill.agent.id",
                                             "waybill.agent.name",
                                             "gen_ai.agent.id",
                                             "gen_ai.agent.name",
                                             "service.name",
                                             "region",
                                             "team"};

#define ID "spiffe://a/planner"
static const resource_case resources[] = {
    {{NULL}, {ID, "planner", ID, "planner", "planner", "north", "tides"}},
    /* its own name is the agent's name in the model's words already, and so is its instance's id */
    {{"service.name=shop"}, {ID, "planner", ID, NULL, "shop", "north", "tides"}},
    {{"service.instance.id=i7"}, {ID, "planner", NULL, "planner", "planner", "north", "tides"}},
    {{"gen_ai.agent.name=a", "gen_ai.agent.id=b"},
     {ID, "planner", "b", "a", "planner", "north", "tides"}},
    {{"region=south", "region2=west", "team="},
     {ID, "planner", ID, "planner", "planner", "south", ""}},
};

static void a_resource_gets_what_it_lacks(void **state)
{
    fixture *f = *state;
    for (size_t i = 0; i < WB_COUNT(resources); i++) {
        size_t n = 0;
        while (n < WB_COUNT(resources[i].arrived) && resources[i].arrived[n]) n++;
        (void)enriched(f, with_resource(&f->m, resources[i].arrived, n));
        wb_slice resource = wb_span_batch_row(&f->read, 0).resource;
        for (size_t k = 0; k < WB_COUNT(resource_names); k++)
            says(f, resource, WB_OTLP_RESOURCE, resource_names[k], resources[i].expected[k]);
        says(f, resource, WB_OTLP_RESOURCE, "waybill.isolation", "none");
    }
}

static void a_group_without_a_resource_gets_one(void **state)
{
    fixture *f = *state;
    (void)enriched(f, in_envelope(&f->m, good_ids(&f->m)));
    says(f, wb_span_batch_row(&f->read, 0).resource, WB_OTLP_RESOURCE, "waybill.agent.name",
         "planner");
}

/* The whole pipeline: the guard renames it, and then it is free. */
static void nobody_else_says_who_the_agent_is(void **state)
{
    static const char *const forged[] = {"waybill.agent.id=spiffe://a/boss",
                                         "waybill.isolation=uid"};
    fixture *f = *state;
    wb_batch *batch = walked(f, with_resource(&f->m, forged, 2));
    assert_int_equal(wb_pipeline_run(f->pipeline, &f->view, batch, NULL), WB_OK);
    (void)written(f, batch);
    wb_slice resource = wb_span_batch_row(&f->read, 0).resource;
    says(f, resource, WB_OTLP_RESOURCE, "waybill.agent.id", ID);
    says(f, resource, WB_OTLP_RESOURCE, "waybill.isolation", "none");
    says(f, resource, WB_OTLP_RESOURCE, "claimed.waybill.agent.id", "spiffe://a/boss");
    says(f, resource, WB_OTLP_RESOURCE, "claimed.waybill.isolation", "uid");
}

static void what_is_configured_comes_before_the_agents_own_name(void **state)
{
    static const char *const named[] = {"service.name=shop"};
    fixture *f = *state;
    f->view.to_resources[0] = list_of(f->arena, WB_OTLP_RESOURCE, named, 1);
    (void)enriched(f, in_envelope(&f->m, good_ids(&f->m)));
    wb_slice resource = wb_span_batch_row(&f->read, 0).resource;
    says(f, resource, WB_OTLP_RESOURCE, "service.name", "shop");
    says(f, resource, WB_OTLP_RESOURCE, "gen_ai.agent.name", "planner");
}

/* ---- spans ---- */

static void a_span_gets_the_attributes_that_it_lacks(void **state)
{
    fixture *f = *state;
    (void)enriched(f, in_envelope_all(&f->m, span(&f->m, NULL, NULL)));
    wb_slice got = wb_span_batch_row(&f->read, 0).span;
    says(f, got, WB_OTLP_SPAN, "tier", "gold");
    says(f, got, WB_OTLP_SPAN, "gold.digger", "no");
    says(f, got, WB_OTLP_SPAN, "empty", "");
    (void)enriched(f, in_envelope_all(&f->m, span(&f->m, "tier", "tin")));
    got = wb_span_batch_row(&f->read, 0).span;
    says(f, got, WB_OTLP_SPAN, "tier", "tin");
    says(f, got, WB_OTLP_SPAN, "gold.digger", "no");
    says(f, got, WB_OTLP_SPAN, "empty", "");
}

static void without_a_word_nothing_is_touched(void **state)
{
    fixture *f = *state;
    f->view = (wb_stage_view){.rehome = NULL};
    for (uint64_t seed = 0; seed < 20; seed++) {
        wb_batch *batch = walked(f, wb_sample_random(seed, true, f->arena));
        bool edited = batch->edited;
        assert_int_equal(wb_enrich_stage.apply(f->stage, &f->view, batch, NULL), WB_OK);
        assert_int_equal(batch->edited, edited);
    }
}

/* Whoever sends many spans must not be refused for what we add: arena and payload have limits. */
static void what_is_added_to_one_batch_is_bounded(void **state)
{
    fixture *f = *state;
    char long_pair[1024 + 8] = "long=";
    const char *const pairs[] = {long_pair};
    memset(long_pair + 5, 'x', 1024);
    f->view.to_spans = list_of(f->arena, WB_OTLP_SPAN, pairs, 1);
    enum { SPANS = 3000 };
    wb_slice body = wb_sample_llm_spans(SPANS, 1, f->arena);
    wb_slice out = enriched(f, body);
    assert_true(out.len > body.len + ADDED_MAX / 2);
    assert_true(out.len < body.len + ADDED_MAX + SPANS * 16);
    assert_int_equal(f->read.span_count, SPANS);
    assert_non_null(only(f, wb_span_batch_row(&f->read, 0).span, WB_OTLP_SPAN, "long"));
    assert_null(only(f, wb_span_batch_row(&f->read, SPANS - 1).span, WB_OTLP_SPAN, "long"));
}

/* ---- sessions ---- */

static void a_stamped_span_gets_the_session_of_its_acceptance(void **state)
{
    fixture *f = *state;
    (void)enriched(f, in_envelope_all(&f->m, span(&f->m, "waybill.acceptance.id", KNOWN)));
    wb_slice got = wb_span_batch_row(&f->read, 0).span;
    says(f, got, WB_OTLP_SPAN, "session.id", "session-0001");
    says(f, got, WB_OTLP_SPAN, "waybill.acceptance.id", KNOWN);
    (void)enriched(f, in_envelope_all(&f->m, span(&f->m, "waybill.acceptance.id", NO_SESSION)));
    got = wb_span_batch_row(&f->read, 0).span;
    says(f, got, WB_OTLP_SPAN, "session.id", NULL);
    says(f, got, WB_OTLP_SPAN, "waybill.acceptance.id", NO_SESSION);
}

static void a_foreign_acceptance_is_a_claim_and_gives_no_session(void **state)
{
    fixture *f = *state;
    f->view.inherits = false; /* the mark does not hang on it */
    (void)enriched(f, in_envelope_all(&f->m, span(&f->m, "waybill.acceptance.id", FOREIGN)));
    wb_slice got = wb_span_batch_row(&f->read, 0).span;
    says(f, got, WB_OTLP_SPAN, "session.id", NULL);
    says(f, got, WB_OTLP_SPAN, "waybill.acceptance.id", NULL);
    says(f, got, WB_OTLP_SPAN, "claimed.waybill.acceptance.id", FOREIGN);
    (void)enriched(f, in_envelope_all(&f->m, span(&f->m, "waybill.acceptance.id", KNOWN)));
    got = wb_span_batch_row(&f->read, 0).span;
    says(f, got, WB_OTLP_SPAN, "session.id", NULL);
    says(f, got, WB_OTLP_SPAN, "waybill.acceptance.id", KNOWN);
}

static wb_slice stamped_and(maker *m, const char *key, const char *value)
{
    wb_slice fields[] = {good_ids(m), text(m, WB_OTLP_SPAN, key, value),
                         text(m, WB_OTLP_SPAN, "waybill.acceptance.id", KNOWN)};
    return in_envelope(m, make_joined(m, fields, 3));
}

static void a_session_that_is_said_stays_in_whatever_dialect(void **state)
{
    fixture *f = *state;
    size_t sources = 0;
    char key[64];
    for (size_t place = 1; place <= WB_SEMCONV_KEYS; place++) {
        size_t n;
        const wb_semconv_rule *rules = wb_semconv_rules((uint16_t)place, &n);
        for (size_t i = 0; i < n; i++) {
            if (rules[i].field != WB_CANON_SESSION_ID) continue;
            (void)snprintf(key, sizeof key, "%.*s", WB_SLICE_ARG(wb_semconv_keys[place - 1]));
            (void)enriched(f, stamped_and(&f->m, key, "own"));
            wb_slice got = wb_span_batch_row(&f->read, 0).span;
            says(f, got, WB_OTLP_SPAN, key, "own");
            if (strcmp(key, "session.id") != 0) says(f, got, WB_OTLP_SPAN, "session.id", NULL);
            sources++;
        }
    }
    assert_true(sources >= 8);
    (void)enriched(f, stamped_and(&f->m, "session.ids", "none"));
    says(f, wb_span_batch_row(&f->read, 0).span, WB_OTLP_SPAN, "session.id", "session-0001");
}

/* It came in a message and not in telemetry: the rules for attributes hold for it all the same. */
static void a_session_is_redacted_as_an_attribute_is(void **state)
{
    static const wb_slice pattern[] = {{(const uint8_t *)"session.*", 9}};
    fixture *f = *state;
    WB_AUTO(wb_redactor) redactor = NULL;
    wb_redact_policy policy = {.secrets = true, .preview_characters = 500};
    wb_slice body = in_envelope_all(&f->m, span(&f->m, "waybill.acceptance.id", KNOWN));
    wb_slice leaky = in_envelope_all(&f->m, span(&f->m, "waybill.acceptance.id", LEAKY));
    assert_int_equal(wb_redactor_new(NULL, &redactor, NULL), WB_OK);
    f->view.redactor = redactor;
    f->view.redact = &policy;
    (void)enriched(f, body);
    says(f, wb_span_batch_row(&f->read, 0).span, WB_OTLP_SPAN, "session.id", "session-0001");
    (void)enriched(f, leaky);
    says(f, wb_span_batch_row(&f->read, 0).span, WB_OTLP_SPAN, "session.id",
         "https://u:[redacted]@h/");
    policy.secrets = false;
    (void)enriched(f, leaky);
    says(f, wb_span_batch_row(&f->read, 0).span, WB_OTLP_SPAN, "session.id", SECRET);
    policy.drop = (wb_redact_rule){pattern, 1};
    (void)enriched(f, body);
    says(f, wb_span_batch_row(&f->read, 0).span, WB_OTLP_SPAN, "session.id", NULL);
}

/* normalise has appended it before, as one field with others. */
static void a_session_of_the_stage_before_is_seen(void **state)
{
    fixture *f = *state;
    wb_batch *batch = walked(f, stamped_and(&f->m, "workflow.session_id", "own"));
    assert_int_equal(wb_pipeline_run(f->pipeline, &f->view, batch, NULL), WB_OK);
    (void)written(f, batch);
    says(f, wb_span_batch_row(&f->read, 0).span, WB_OTLP_SPAN, "session.id", "own");
}

static void spans_beside_a_stamped_one_are_left(void **state)
{
    fixture *f = *state;
    wb_slice spans[] = {span(&f->m, "waybill.acceptance.id", KNOWN), span(&f->m, NULL, NULL)};
    (void)enriched(f, in_envelope_all(&f->m, make_joined(&f->m, spans, 2)));
    says(f, wb_span_batch_row(&f->read, 0).span, WB_OTLP_SPAN, "session.id", "session-0001");
    says(f, wb_span_batch_row(&f->read, 1).span, WB_OTLP_SPAN, "session.id", NULL);
}

static void the_state_is_asked_once_and_only_for_stamps(void **state)
{
    fixture *f = *state;
    wb_slice spans[] = {span(&f->m, "waybill.acceptance.id", KNOWN),
                        span(&f->m, "waybill.acceptance.id", OTHER),
                        span(&f->m, NULL, NULL),
                        span(&f->m, "waybill.acceptance.id", KNOWN),
                        span(&f->m, "waybill.acceptance.id", FOREIGN),
                        span(&f->m, "waybill.acceptance.id", OTHER)};
    static const char *const sessions[] = {"session-0001", "session-0002", NULL,
                                           "session-0001", NULL,           "session-0002"};
    (void)enriched(f, in_envelope_all(&f->m, make_repeated(&f->m, span(&f->m, "k", "v"), 50)));
    assert_int_equal(f->asked, 0);
    (void)enriched(f, in_envelope_all(&f->m, make_joined(&f->m, spans, WB_COUNT(spans))));
    assert_int_equal(f->asked, 1);
    assert_int_equal(f->asked_for, 3);
    for (uint32_t i = 0; i < WB_COUNT(spans); i++)
        says(f, wb_span_batch_row(&f->read, i).span, WB_OTLP_SPAN, "session.id", sessions[i]);
}

/* More than are looked through, there and back: each span gets its own, however often one is looked up. */
static void many_acceptances_in_one_batch_are_kept_apart(void **state)
{
    fixture *f = *state;
    wb_slice spans[2 * STAMPS];
    char id[ID_HEX + 1], session[16];
    for (unsigned i = 0; i < 2 * STAMPS; i++) {
        unsigned which = i < STAMPS ? i : 2 * STAMPS - 1 - i;
        (void)snprintf(id, sizeof id, "a000000000000000000000000000%04u", which);
        spans[i] = span(&f->m, "waybill.acceptance.id", id);
    }
    (void)enriched(f, in_envelope_all(&f->m, make_joined(&f->m, spans, 2 * STAMPS)));
    assert_int_equal(f->asked, 1);
    for (uint32_t i = 0; i < 2 * STAMPS; i++) {
        unsigned which = i < STAMPS ? i : 2 * STAMPS - 1 - i;
        (void)snprintf(session, sizeof session, "session-%04u", which);
        says(f, wb_span_batch_row(&f->read, i).span, WB_OTLP_SPAN, "session.id", session);
    }
}

/* ---- the other signals ---- */

static void log_records_are_enriched_as_spans_are(void **state)
{
    fixture *f = *state;
    maker *m = &f->m;
    wb_batch *batch = NULL;
    wb_log_batch read;
    wb_slice records[] = {
        make_len(m, 2, text(m, WB_OTLP_LOG, "waybill.acceptance.id", KNOWN)),
        make_len(m, 2, text(m, WB_OTLP_LOG, "waybill.acceptance.id", FOREIGN)),
        make_len(m, 2, text(m, WB_OTLP_LOG, "plain", "x")),
    };
    wb_slice body = make_len(m, 1, make_len(m, 2, make_joined(m, records, 3)));
    assert_int_equal(wb_otlp_walk_logs(body, wb_pipeline_keys(f->pipeline), f->arena, &batch, NULL),
                     WB_OK);
    assert_int_equal(wb_pipeline_run_logs(f->pipeline, &f->view, batch, NULL), WB_OK);
    assert_int_equal(wb_log_batch_write(batch, &f->out, NULL), WB_OK);
    assert_int_equal(wb_log_batch_open(wb_buffer_slice(&f->out), &read, NULL), WB_OK);
    assert_int_equal(read.log_count, 3);
    wb_log_row row = wb_log_batch_row(&read, 0);
    says(f, row.resource, WB_OTLP_RESOURCE, "waybill.agent.name", "planner");
    says(f, row.resource, WB_OTLP_RESOURCE, "team", "tides");
    says(f, row.log, WB_OTLP_LOG, "session.id", "session-0001");
    says(f, row.log, WB_OTLP_LOG, "tier", NULL);
    row = wb_log_batch_row(&read, 1);
    says(f, row.log, WB_OTLP_LOG, "session.id", NULL);
    says(f, row.log, WB_OTLP_LOG, "claimed.waybill.acceptance.id", FOREIGN);
    says(f, wb_log_batch_row(&read, 2).log, WB_OTLP_LOG, "session.id", NULL);
}

/* ResourceMetrics 1 { Resource 1, ScopeMetrics 2 { Metric 2 { Gauge 5 { NumberDataPoint 1 } } } } */
static void resources_of_metrics_are_enriched(void **state)
{
    fixture *f = *state;
    maker *m = &f->m;
    wb_batch *batch = NULL;
    wb_metrics_points points;
    wb_slice attrs[] = {text(m, 1, "team", "own"), text(m, 1, "waybill.agent.id", "forged")};
    wb_slice metric[] = {make_len(m, 1, WB_S("m")), make_len(m, 5, make_len(m, 1, WB_S("")))};
    wb_slice group[] = {make_len(m, 1, make_joined(m, attrs, 2)),
                        make_len(m, 2, make_len(m, 2, make_joined(m, metric, 2)))};
    wb_slice body = make_len(m, 1, make_joined(m, group, 2));
    assert_int_equal(wb_otlp_walk_metrics(body, f->arena, &batch, &points, NULL), WB_OK);
    assert_int_equal(points.accepted, 1);
    assert_int_equal(wb_pipeline_run_metrics(&f->view, batch, NULL), WB_OK);
    assert_int_equal(wb_metrics_write(batch, &f->out, NULL), WB_OK);
    /* The resource is read back as that of spans: the envelopes are alike. */
    wb_slice out = wb_buffer_slice(&f->out);
    assert_int_equal(wb_otlp_walk_metrics(out, f->arena, &batch, &points, NULL), WB_OK);
    assert_int_equal(points.accepted, 1);
    wb_slice resource = wb_batch_bytes(batch, batch->resources[0].resource);
    says(f, resource, WB_OTLP_RESOURCE, "team", "own");
    says(f, resource, WB_OTLP_RESOURCE, "region", "north");
    says(f, resource, WB_OTLP_RESOURCE, "waybill.agent.id", ID);
    says(f, resource, WB_OTLP_RESOURCE, "waybill.agent.name", "planner");
}

/* ---- of all of it ---- */

static size_t attributes(const fixture *f)
{
    size_t n = 0;
    wb_otlp_attr attr;
    for (uint32_t i = 0; i < f->read.span_count; i++) {
        wb_span_row row = wb_span_batch_row(&f->read, i);
        wb_otlp_iter of_span = {row.span}, of_resource = {row.resource};
        while (wb_otlp_next_attr(&of_span, WB_OTLP_SPAN, &attr)) n++;
        while (wb_otlp_next_attr(&of_resource, WB_OTLP_RESOURCE, &attr)) n++;
    }
    return n;
}

/* As the guard, which stands before, leaves it: no two stamps on one span. */
static wb_slice guarded(fixture *f, wb_slice body)
{
    wb_batch *batch = walked(f, body);
    assert_int_equal(wb_guard_stage.apply(NULL, &f->view, batch, NULL), WB_OK);
    return written(f, batch);
}

static void enriching_twice_is_enriching_once(void **state)
{
    fixture *f = *state;
    for (uint64_t seed = 0; seed < SEEDS; seed++) {
        wb_slice once = enriched(f, guarded(f, wb_sample_random(seed, seed % 2, f->arena)));
        size_t n = attributes(f);
        wb_slice twice = enriched(f, once);
        if (!wb_slice_eq(once, twice)) fail_msg("seed %llu", (unsigned long long)seed);
        assert_int_equal(attributes(f), n);
        wb_batch *batch = walked(f, once); /* and within one run */
        assert_int_equal(wb_enrich_stage.apply(f->stage, &f->view, batch, NULL), WB_OK);
        assert_int_equal(wb_enrich_stage.apply(f->stage, &f->view, batch, NULL), WB_OK);
        assert_true(wb_slice_eq(written(f, batch), once));
        if (seed % 50 == 49) { /* or the arena fills up */
            (void)teardown(state);
            (void)setup(state);
            f = *state;
        }
    }
}

static void a_span_with_a_session_is_the_same_the_second_time(void **state)
{
    fixture *f = *state;
    wb_slice once =
        enriched(f, in_envelope_all(&f->m, span(&f->m, "waybill.acceptance.id", KNOWN)));
    assert_true(wb_slice_eq(enriched(f, once), once));
}

/* At every limit that the arena may have it says so, and at the first that is enough it is right. */
static void an_arena_at_its_limit_is_said(void **state)
{
    fixture *f = *state;
    wb_slice spans[] = {span(&f->m, "waybill.acceptance.id", KNOWN),
                        span(&f->m, "waybill.acceptance.id", FOREIGN), span(&f->m, "tier", "tin")};
    wb_slice body = in_envelope_all(&f->m, make_joined(&f->m, spans, 3));
    size_t refused = 0;
    wb_status status = WB_ERR_NO_MEMORY;
    for (size_t limit = 512; status != WB_OK && limit < 1 << 20; limit += 256) {
        WB_AUTO(wb_arena) small = wb_arena_new(limit);
        wb_batch *batch = NULL;
        if (wb_otlp_walk(body, wb_pipeline_keys(f->pipeline), small, &batch, NULL) != WB_OK)
            continue;
        status = wb_enrich_stage.apply(f->stage, &f->view, batch, NULL);
        assert_true(status == WB_OK || status == WB_ERR_NO_MEMORY);
        if (status != WB_OK) refused++;
    }
    assert_int_equal(status, WB_OK);
    assert_true(refused > 2);
    WB_AUTO(wb_arena) tiny = wb_arena_new(64);
    const wb_attr_list *list = NULL;
    assert_int_equal(wb_enrich_agent(WB_S("a"), WB_S("b"), WB_S("c"), tiny, &list),
                     WB_ERR_NO_MEMORY);
    assert_null(list);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_resource_gets_what_it_lacks),
        TEST(a_group_without_a_resource_gets_one),
        TEST(nobody_else_says_who_the_agent_is),
        TEST(what_is_configured_comes_before_the_agents_own_name),
        TEST(a_span_gets_the_attributes_that_it_lacks),
        TEST(without_a_word_nothing_is_touched),
        TEST(what_is_added_to_one_batch_is_bounded),
        TEST(a_stamped_span_gets_the_session_of_its_acceptance),
        TEST(a_foreign_acceptance_is_a_claim_and_gives_no_session),
        TEST(a_session_that_is_said_stays_in_whatever_dialect),
        TEST(a_session_is_redacted_as_an_attribute_is),
        TEST(a_session_of_the_stage_before_is_seen),
        TEST(spans_beside_a_stamped_one_are_left),
        TEST(the_state_is_asked_once_and_only_for_stamps),
        TEST(many_acceptances_in_one_batch_are_kept_apart),
        TEST(log_records_are_enriched_as_spans_are),
        TEST(resources_of_metrics_are_enriched),
        TEST(enriching_twice_is_enriching_once),
        TEST(a_span_with_a_session_is_the_same_the_second_time),
        TEST(an_arena_at_its_limit_is_said),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
