/* SPDX-License-Identifier: Apache-2.0 */
/* What a configuration and OpenTelemetry's variables add: which pairs are taken, and what they become. */
#include "sidecar/config_enrich.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

typedef struct fixture {
    wb_arena *arena;
    wb_error err;
    wb_sidecar_config config;
    char path[32];
} fixture;

static int setup(void **state)
{
    fixture *f = calloc(1, sizeof *f);
    *state = f;
    if (!f || !(f->arena = wb_arena_new(8 << 20))) return -1;
    (void)snprintf(f->path, sizeof f->path, "/tmp/wb-enrich-XXXXXX");
    int fd = mkstemp(f->path);
    return fd < 0 ? -1 : close(fd);
}

static int teardown(void **state)
{
    fixture *f = *state;
    (void)unlink(f->path);
    wb_arena_free(f->arena);
    free(f);
    return 0;
}

static wb_status load(fixture *f, const char *yaml, const char *const *env)
{
    FILE *file = fopen(f->path, "w");
    if (!file || fputs(yaml, file) < 0 || fclose(file) != 0) return WB_ERR_UNAVAILABLE;
    return wb_sidecar_config_load(f->path, "Planner", (char *const *)env, f->arena, &f->config,
                                  &f->err);
}

/* "key=value key=value" of a list, in its order. */
static const char *said(fixture *f, const wb_attr_list *list)
{
    const char *text = "";
    assert_non_null(list);
    for (size_t i = 0; i < list->n && text; i++) {
        wb_value value = wb_otlp_value(list->items[i].value);
        assert_int_equal(value.type, WB_VALUE_TEXT);
        assert_int_equal(list->items[i].unless.len, 0);
        text = wb_arena_printf(f->arena, "%s%s%.*s=%.*s", text, i ? " " : "",
                               WB_SLICE_ARG(list->items[i].key), WB_SLICE_ARG(value.text));
    }
    assert_non_null(text);
    return text;
}

static void what_no_attribute_can_be_is_refused_with_its_line(void **state)
{
    static const struct {
        const char *yaml, *says;
    } cases[] = {
        {"enrich:\n  attributes:\n  - team=tides\n  - tier\n",
         ":4: enrich.attributes: key=value is needed"},
        {"enrich:\n  attributes: [\"=x\"]\n",
         ":2: enrich.attributes: there is no key before the ="},
        {"enrich:\n  resource_attributes: [\"\"]\n",
         ":2: enrich.resource_attributes: key=value is needed"},
        {"enrich:\n  attributes:\n  - waybill.cost.own=0\n",
         ":3: enrich.attributes: keys of waybill."},
        {"enrich: {resource_attributes: [waybill.agent.id=me]}", "keys of waybill."},
        {"enrich: {attributes: [claimed.waybill.x=me]}", "keys of claimed.waybill."},
        {"enrich:\n  attributes:\n  - a=1\n  - b=2\n  - a=3\n",
         ":5: enrich.attributes: the key a is there twice"},
        {"enrich: {attributes: {team: tides}}", "a list is needed"},
        {"enrich: {attributes: [a: b]}", "a list of texts is needed"},
        {"enrich: {attributes: [\"a=b\\nc\"]}", "a control character or line break"},
        {"enrich: {attributes: [a=1,a1=1,a2=1,a3=1,a4=1,a5=1,a6=1,a7=1,a8=1,a9=1,"
         "b=1,b1=1,b2=1,b3=1,b4=1,b5=1,b6=1,b7=1,b8=1,b9=1,"
         "c=1,c1=1,c2=1,c3=1,c4=1,c5=1,c6=1,c7=1,c8=1,c9=1,d=1,d1=1,d2=1]}",
         "33 items, not within 0 to 32"},
    };
    fixture *f = *state;
    for (size_t i = 0; i < WB_COUNT(cases); i++) {
        wb_status status = load(f, cases[i].yaml, NULL);
        if (status != WB_ERR_CONFIG || !strstr(f->err.detail, cases[i].says))
            fail_msg("%s gave %s: %s", cases[i].yaml, wb_status_name(status), f->err.detail);
    }
}

static void keys_and_values_have_limits(void **state)
{
    fixture *f = *state;
    char yaml[12 * 1024], x[WB_ENRICH_VALUE_MAX + 2];
    memset(x, 'x', sizeof x);
    x[WB_ENRICH_VALUE_MAX] = '\0';
    (void)snprintf(yaml, sizeof yaml, "enrich: {attributes: [\"%.*s=%s\"]}\n", WB_ENRICH_KEY_MAX, x,
                   x);
    assert_int_equal(load(f, yaml, NULL), WB_OK);
    (void)snprintf(yaml, sizeof yaml, "enrich: {attributes: [\"%.*s=\"]}\n", WB_ENRICH_KEY_MAX + 1,
                   x);
    assert_int_equal(load(f, yaml, NULL), WB_ERR_CONFIG);
    assert_non_null(strstr(f->err.detail, "a key is longer than 128 bytes"));
    (void)snprintf(yaml, sizeof yaml, "enrich: {attributes: [\"k=%sx\"]}\n", x);
    assert_int_equal(load(f, yaml, NULL), WB_ERR_CONFIG);
    assert_non_null(strstr(f->err.detail, "a value is longer than 1024 bytes"));
    size_t len = (size_t)snprintf(yaml, sizeof yaml, "enrich:\n  attributes:\n");
    for (int i = 0; i < 8; i++)
        len += (size_t)snprintf(yaml + len, sizeof yaml - len, "  - k%d=%s\n", i, x);
    assert_int_equal(load(f, yaml, NULL), WB_ERR_CONFIG);
    assert_non_null(strstr(f->err.detail, ":10: enrich.attributes: all of them together"));
}

static void pairs_are_taken_as_they_stand(void **state)
{
    fixture *f = *state;
    assert_int_equal(load(f,
                          "enrich:\n  attributes: [team=tides, \"a = b=c \", none=]\n"
                          "  resource_attributes: [\"k8s.pod=p%201\"]\n",
                          NULL),
                     WB_OK);
    assert_string_equal(said(f, f->config.to_spans), "team=tides a = b=c  none=");
    assert_string_equal(said(f, f->config.to_resources), "k8s.pod=p%201");
    assert_int_equal(f->config.to_spans->kind, WB_OTLP_SPAN);
    assert_int_equal(f->config.to_resources->kind, WB_OTLP_RESOURCE);
    assert_true(f->config.enrich);
    assert_int_equal(load(f, "", NULL), WB_OK);
    assert_int_equal(f->config.to_spans->n + f->config.to_resources->n, 0);
}

static void variables_are_taken(void **state)
{
    static const char *const env[] = {
        "WAYBILL_ENRICH_ATTRIBUTES=team=tides,tier=gold",
        "WAYBILL_ENRICH_RESOURCE_ATTRIBUTES=region=north", "OTEL_SERVICE_NAME=shop",
        "OTEL_RESOURCE_ATTRIBUTES= region=south , a%2Cb=c%3d%20%C3%AB,service.name=s,x=,a%2cb=2,",
        NULL};
    fixture *f = *state;
    assert_int_equal(load(f, "", env), WB_OK);
    assert_string_equal(said(f, f->config.to_spans), "team=tides tier=gold");
    assert_string_equal(said(f, f->config.to_resources),
                        "region=north service.name=shop a,b=c= \xC3\xAB x=");
    assert_null(f->config.otel_fault);
    assert_int_equal(f->config.n_own_resource, 3); /* service.name is said by us */
    assert_true(wb_slice_eq(f->config.own_resource[0].key, WB_S("region")));
    assert_true(wb_slice_eq(f->config.own_resource[1].value.text, WB_S("c= \xC3\xAB")));
    static const char *const bad[] = {"WAYBILL_ENRICH_ATTRIBUTES=team", NULL};
    assert_int_equal(load(f, "", bad), WB_ERR_CONFIG);
    assert_non_null(strstr(f->err.detail, "WAYBILL_ENRICH_ATTRIBUTES"));
}

/* The specification: in case of any error the whole value is discarded, and that is said. */
static void a_broken_variable_of_opentelemetry_is_left_out_whole(void **state)
{
    static const struct {
        const char *value, *says;
    } cases[] = {
        {"a=1,b", "key=value is needed"},
        {"a=1,=2", "no key before"},
        {"a=1,b=%2", "percent-encoded"},
        {"a=1,b=%zz", "percent-encoded"},
        {"a=1,b=%FF", "percent-encoded"},
        {"a=1,b=%0A", "percent-encoded"},
        {"a=1,waybill.agent.id=2", "keys of waybill."},
        {"a=1,waybill%2Eagent.id=2", "keys of waybill."},
    };
    fixture *f = *state;
    char variable[96];
    const char *const env[] = {"OTEL_SERVICE_NAME=shop", variable, NULL};
    for (size_t i = 0; i < WB_COUNT(cases); i++) {
        (void)snprintf(variable, sizeof variable, "OTEL_RESOURCE_ATTRIBUTES=%s", cases[i].value);
        assert_int_equal(load(f, "enrich: {resource_attributes: [k=v]}", env), WB_OK);
        assert_string_equal(said(f, f->config.to_resources), "k=v service.name=shop");
        assert_non_null(f->config.otel_fault);
        if (!strstr(f->config.otel_fault, cases[i].says))
            fail_msg("%s gave %s", cases[i].value, f->config.otel_fault);
    }
}

static void many_or_long_pairs_of_the_variable_are_too_many(void **state)
{
    fixture *f = *state;
    static char variable[16 * 1024];
    const char *const env[] = {variable, NULL};
    for (unsigned n = WB_ENRICH_PAIRS_MAX; n <= WB_ENRICH_PAIRS_MAX + 1; n++) {
        size_t len = (size_t)snprintf(variable, sizeof variable, "OTEL_RESOURCE_ATTRIBUTES=");
        for (unsigned i = 0; i < n; i++)
            len += (size_t)snprintf(variable + len, sizeof variable - len, "k%u=v,", i);
        assert_int_equal(load(f, "", env), WB_OK);
        assert_int_equal(f->config.to_resources->n, n > WB_ENRICH_PAIRS_MAX ? 0 : n);
        assert_int_equal(f->config.otel_fault != NULL, n > WB_ENRICH_PAIRS_MAX);
    }
    size_t len = (size_t)snprintf(variable, sizeof variable, "OTEL_RESOURCE_ATTRIBUTES=");
    for (unsigned i = 0; i < 9; i++)
        len += (size_t)snprintf(variable + len, sizeof variable - len, "k%u=%01000u,", i, i);
    assert_int_equal(load(f, "", env), WB_OK);
    assert_non_null(strstr(f->config.otel_fault, "together"));
    (void)snprintf(variable, sizeof variable, "OTEL_RESOURCE_ATTRIBUTES=k=%01025u", 1U);
    assert_int_equal(load(f, "", env), WB_OK);
    assert_non_null(strstr(f->config.otel_fault, "a value is longer"));
}

static void ignore_stale(void *self, const char *key)
{
    (void)self;
    (void)key;
}

static void a_reload_takes_them(void **state)
{
    fixture *f = *state;
    wb_sidecar_config renewed;
    assert_int_equal(load(f, "enrich: {attributes: [a=1]}", NULL), WB_OK);
    const wb_sidecar_config running = f->config;
    assert_int_equal(
        load(f, "enrich: {enabled: false, attributes: [a=2, b=3], resource_attributes: [c=4]}",
             NULL),
        WB_OK);
    assert_int_equal(
        wb_sidecar_config_renew(&running, &f->config, &renewed, ignore_stale, NULL, &f->err),
        WB_OK);
    assert_string_equal(said(f, renewed.to_spans), "a=2 b=3");
    assert_string_equal(said(f, renewed.to_resources), "c=4");
    assert_int_equal(renewed.n_own_resource, 1);
    assert_false(renewed.enrich);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(what_no_attribute_can_be_is_refused_with_its_line),
        TEST(keys_and_values_have_limits),
        TEST(pairs_are_taken_as_they_stand),
        TEST(variables_are_taken),
        TEST(a_broken_variable_of_opentelemetry_is_left_out_whole),
        TEST(many_or_long_pairs_of_the_variable_are_too_many),
        TEST(a_reload_takes_them),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
