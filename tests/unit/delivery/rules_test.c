/* SPDX-License-Identifier: Apache-2.0 */
#include "sidecar/delivery/rules.h"

#include "core/clock.h"
#include "tests/support/records.h"
#include "tests/unit/delivery/runner_kit.h"

static wb_delivery_rules read_rules(const wb_delivery_config *config)
{
    wb_delivery_rules rules = {0};
    wb_error err = {0};
    if (wb_delivery_rules_read(config, &rules, &err) != WB_OK) fail_msg("%s", err.detail);
    return rules;
}

/* ---- the configuration ---------------------------------------------------------------------- */

static void settings_that_mean_nothing_are_refused_by_name(void **state)
{
    (void)state;
    static const wb_slice word[] = {{(const uint8_t *)"errors", 6}};
    static const wb_slice bare[] = {{(const uint8_t *)"a=b", 3}, {(const uint8_t *)"ab", 2}};
    static const wb_slice no_key[] = {{(const uint8_t *)"=b", 2}};
    static const wb_slice no_text[] = {{(const uint8_t *)"a=\xff", 3}};
    static const wb_slice many[WB_DELIVERY_ATTRIBUTES_MAX + 1];
    const struct {
        wb_delivery_config config;
        const char *name;
    } cases[] = {
        {{.ratio = "2"}, "sampling.ratio"},
        {{.ratio = ""}, "sampling.ratio"},
        {{.keep = word, .n_keep = 1}, "sampling.keep"},
        {{.hold = "soon"}, "hold"},
        {{.hold = "61s"}, "hold"},
        {{.hold = "-1"}, "hold"},
        {{.attributes = bare, .n_attributes = 2}, "attributes"},
        {{.attributes = no_key, .n_attributes = 1}, "attributes"},
        {{.resource_attributes = no_text, .n_resource_attributes = 1}, "resource_attributes"},
        {{.attributes = many, .n_attributes = WB_COUNT(many)}, "attributes"},
    };
    for (size_t i = 0; i < WB_COUNT(cases); i++) {
        wb_error err = {0};
        assert_int_equal(wb_delivery_config_check(&cases[i].config, &err), WB_ERR_CONFIG);
        assert_true(strncmp(err.detail, cases[i].name, strlen(cases[i].name)) == 0);
    }
}

static void the_hold_is_there_where_sampling_is(void **state)
{
    (void)state;
    assert_int_equal(read_rules(&(wb_delivery_config){.slow_ms = 7}).hold_ns, 0);
    assert_int_equal(read_rules(&(wb_delivery_config){.ratio = "1"}).hold_ns, 0);
    assert_int_equal(read_rules(&(wb_delivery_config){.ratio = "0.5"}).hold_ns, 5 * WB_NS_PER_S);
    assert_int_equal(read_rules(&(wb_delivery_config){.ratio = "0.5", .hold = "0"}).hold_ns, 0);
    assert_int_equal(read_rules(&(wb_delivery_config){.hold = "2s"}).hold_ns, 2 * WB_NS_PER_S);
    assert_int_equal(read_rules(&(wb_delivery_config){.hold = "250"}).hold_ns, 250 * WB_NS_PER_MS);
    assert_int_equal(read_rules(&(wb_delivery_config){.slow_ms = 7}).slow_ns, 7 * WB_NS_PER_MS);
}

static void a_value_may_have_equals_signs_and_be_empty(void **state)
{
    (void)state;
    wb_slice key, value;
    assert_true(wb_delivery_attribute(WB_S("team=a=b"), &key, &value));
    assert_true(wb_slice_eq(key, WB_S("team")) && wb_slice_eq(value, WB_S("a=b")));
    assert_true(wb_delivery_attribute(WB_S("team="), &key, &value));
    assert_int_equal(value.len, 0);
}

/* ---- spans ---------------------------------------------------------------------------------- */

static bool keeps(unsigned rule, const span_spec *spec)
{
    WB_AUTO_BUFFER payload;
    wb_span_batch batch;
    wb_buffer_init(&payload, 1 << 20);
    make_spans(&payload, spec, 1);
    assert_int_equal(wb_span_batch_open(wb_buffer_slice(&payload), &batch, NULL), WB_OK);
    wb_span_row row = wb_span_batch_row(&batch, 0);
    const wb_delivery_rules rules = {.keep = rule, .slow_ns = 100 * WB_NS_PER_MS};
    return wb_rules_keep_span(&rules, &row);
}

static void each_rule_keeps_its_own_and_nothing_else(void **state)
{
    (void)state;
    static const unsigned rules[] = {WB_KEEP_ERROR, WB_KEEP_SLOW, WB_KEEP_DELEGATION,
                                     WB_KEEP_REFUSED_TOKEN};
    static const span_spec reasons[] = {
        {.trace = 1, .span = 1, .error = true},
        {.trace = 1, .span = 1, .ms = 100},
        {.trace = 1, .span = 1, .attr = "waybill.delegation.id"},
        {.trace = 1, .span = 1, .attr = "waybill.token.error"},
    };
    static const span_spec taken_over = {.trace = 1, .span = 1, .attr = "waybill.token.verdict"};
    static const span_spec innocent = {.trace = 1, .span = 1, .ms = 99, .attr = "waybill.agent.id"};
    static const span_spec claimed = {.trace = 1, .span = 1, .attr = "claimed.waybill.token.error"};
    for (size_t i = 0; i < WB_COUNT(rules); i++) {
        assert_int_equal(keeps(rules[i], &taken_over), rules[i] == WB_KEEP_DELEGATION);
        for (size_t k = 0; k < WB_COUNT(reasons); k++)
            assert_int_equal(keeps(rules[i], &reasons[k]), i == k);
        assert_false(keeps(rules[i], &innocent));
        assert_false(keeps(rules[i], &claimed));
        assert_false(keeps(0, &reasons[i]));
    }
}

static bool over_budget(const char *key, wb_value value)
{
    WB_AUTO_BUFFER payload;
    wb_span_batch batch;
    const wb_otlp_attr attr = {wb_slice_str(key), value};
    const wb_span_origin origin = {.scope_name = WB_S("x")};
    const wb_span_draft draft = {.trace_id = test_trace(1),
                                 .span_id = test_span(1),
                                 .name = WB_S("work"),
                                 .attrs = &attr,
                                 .attr_count = 1};
    wb_buffer_init(&payload, 1 << 20);
    assert_int_equal(wb_span_batch_build(&origin, &draft, 1, &payload, NULL), WB_OK);
    assert_int_equal(wb_span_batch_open(wb_buffer_slice(&payload), &batch, NULL), WB_OK);
    wb_span_row row = wb_span_batch_row(&batch, 0);
    const wb_delivery_rules rules = {.keep = WB_KEEP_OVER_BUDGET};
    return wb_rules_keep_span(&rules, &row);
}

static void a_spent_budget_is_seen(void **state)
{
    (void)state;
    static const char *const remaining = "waybill.budget.remaining_micros";
    assert_true(over_budget(remaining, (wb_value){.type = WB_VALUE_INT, .integer = 0}));
    assert_true(over_budget(remaining, (wb_value){.type = WB_VALUE_INT, .integer = -5}));
    assert_false(over_budget(remaining, (wb_value){.type = WB_VALUE_INT, .integer = 1}));
    assert_false(over_budget(remaining, (wb_value){.type = WB_VALUE_TEXT, .text = WB_S("0")}));
    assert_true(
        over_budget("error.type", (wb_value){.type = WB_VALUE_TEXT, .text = WB_S("budget")}));
    assert_false(
        over_budget("error.type", (wb_value){.type = WB_VALUE_TEXT, .text = WB_S("timeout")}));
}

/* ---- rows ----------------------------------------------------------------------------------- */

static void a_delegation_is_a_reason_from_its_opening_on(void **state)
{
    (void)state;
    WB_AUTO_BUFFER row;
    wb_trace_id trace = {{0}};
    wb_delivery_rules rules = {.keep = WB_KEEP_DELEGATION};
    wb_buffer_init(&row, 1 << 20);
    test_delegation_payload(&row, &(test_delegation_spec){.id = 1, .trace = 7, .span = 2});
    wb_entry entry = {WB_ENTRY_DELEGATION, wb_buffer_slice(&row)};
    assert_true(wb_rules_keep_row(&rules, &entry, &trace));
    assert_true(WB_ID_EQ(trace, test_trace(7)));
    rules.keep = ~(unsigned)WB_KEEP_DELEGATION;
    assert_false(wb_rules_keep_row(&rules, &entry, &trace));
    rules.keep = WB_KEEP_DELEGATION;
    entry.kind = WB_ENTRY_OWNER;
    assert_false(wb_rules_keep_row(&rules, &entry, &trace));
    for (size_t cut = 0; cut < 20; cut++) { /* no trace id yet, or half of one */
        entry = (wb_entry){WB_ENTRY_DELEGATION, {row.ptr, cut}};
        assert_false(wb_rules_keep_row(&rules, &entry, &trace));
    }
}

static void an_acceptance_is_one_if_its_token_was_not_believed(void **state)
{
    (void)state;
    const wb_delivery_rules rules = {.keep = WB_KEEP_REFUSED_TOKEN};
    static const char *const codes[] = {"", "WB_E_EXP"};
    for (size_t i = 0; i < WB_COUNT(codes); i++) {
        WB_AUTO_BUFFER row;
        wb_trace_id trace;
        wb_buffer_init(&row, 1 << 20);
        test_acceptance_payload(
            &row, &(test_acceptance_spec){.id = 1, .trace = 9, .span = 2, .code = codes[i]});
        wb_entry entry = {WB_ENTRY_ACCEPTANCE, wb_buffer_slice(&row)};
        const wb_delivery_rules any_delegation = {.keep = WB_KEEP_DELEGATION},
                                others = {.keep = WB_KEEP_ERROR | WB_KEEP_SLOW};
        assert_true(wb_rules_keep_row(&any_delegation, &entry, &trace));
        assert_false(wb_rules_keep_row(&others, &entry, &trace));
        assert_int_equal(wb_rules_keep_row(&rules, &entry, &trace), i == 1);
        if (i == 1) assert_true(WB_ID_EQ(trace, test_trace(9)));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(settings_that_mean_nothing_are_refused_by_name),
        cmocka_unit_test(the_hold_is_there_where_sampling_is),
        cmocka_unit_test(a_value_may_have_equals_signs_and_be_empty),
        cmocka_unit_test(each_rule_keeps_its_own_and_nothing_else),
        cmocka_unit_test(a_spent_budget_is_seen),
        cmocka_unit_test(a_delegation_is_a_reason_from_its_opening_on),
        cmocka_unit_test(an_acceptance_is_one_if_its_token_was_not_believed),
    };
    return cmocka_run_group_tests_name("rules", tests, NULL, NULL);
}
