/* SPDX-License-Identifier: Apache-2.0 */
/* A span takes no memory: whatever the client asks malloc for on the agent's thread is counted. */
#include "include/waybill/waybill.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

#include "tests/support/alloc_count.h"

static void a_span_asks_for_no_memory(void **state)
{
    (void)state;
    waybill_client *client = NULL;
    waybill_options options = {.size = sizeof options, .socket = "/nonexistent/ipc.sock"};
    unsigned before = wb_alloc_count();
    assert_int_equal(waybill_open(&options, &client, NULL), WAYBILL_OK);
    assert_true(wb_alloc_count() > before); /* the counter works */
    before = wb_alloc_count();
    for (int i = 0; i < 50000; i++) { /* beyond the buffer, too */
        waybill_span span;
        waybill_span_start(client, &span, "work", NULL, WAYBILL_TOOL_CALL);
        waybill_span_set_text(&span, "text", "value");
        waybill_span_set_int(&span, "int", i);
        waybill_span_set_double(&span, "double", 0.5);
        waybill_span_set_bool(&span, "bool", true);
        waybill_span_add_event(&span, "event");
        waybill_span_set_error(&span, "type", "message");
        (void)waybill_span_end(&span);
    }
    assert_int_equal(wb_alloc_count(), before);
    waybill_stats stats;
    waybill_get_stats(client, &stats, sizeof stats);
    assert_int_equal(stats.spans_recorded, 50000);
    assert_true(stats.spans_dropped > 0 && stats.spans_buffered > 0);
    waybill_close(client, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(a_span_asks_for_no_memory)};
    return cmocka_run_group_tests_name("client_span_alloc", tests, NULL, NULL);
}
