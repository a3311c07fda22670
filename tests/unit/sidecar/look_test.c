/* SPDX-License-Identifier: Apache-2.0 */
/* The state is held up on purpose: whoever looks must have an answer all the same. */
#include "sidecar/look.h"

#include "tests/support/journal_kit.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

typedef struct fixture {
    wb_journal_kit kit;
    wb_state state;
    wb_look look;
} fixture;

static int start(void **state)
{
    fixture *f = calloc(1, sizeof *f);
    uint64_t seq;
    if (!f) return -1;
    wb_kit_init(&f->kit);
    if (wb_kit_open(&f->kit) != WB_OK || wb_state_init(&f->state, NULL) != WB_OK ||
        wb_journal_register_cursor(f->kit.journal, "store", &seq, NULL) != WB_OK) {
        wb_kit_done(&f->kit);
        wb_state_done(&f->state);
        free(f);
        return -1;
    }
    wb_look_init(&f->look, &f->state, f->kit.journal, &wb_system_clock);
    *state = f;
    return 0;
}

static int stop(void **state)
{
    fixture *f = *state;
    wb_look_done(&f->look);
    wb_look_done(&f->look); /* nothing the second time */
    wb_state_done(&f->state);
    wb_kit_done(&f->kit);
    free(f);
    return 0;
}

static void what_is_there_is_seen_at_once(void **state)
{
    fixture *f = *state;
    wb_seen seen;
    wb_look_at(&f->look, &seen);
    assert_true(seen.seen_mono > 0);
    assert_int_equal(seen.delegations_open, 0);
    assert_int_equal(seen.n_cursors, 1);
    assert_string_equal(seen.cursors[0].name, "store");
    assert_true(seen.cursors[0].registered);
}

static void *look(void *arg)
{
    static wb_seen seen;
    wb_look_at(arg, &seen);
    return &seen;
}

static void while_the_state_is_held_what_was_seen_last_is_the_answer(void **state)
{
    fixture *f = *state;
    wb_seen before;
    pthread_t thread;
    void *got = NULL;
    wb_look_renew(&f->look);
    wb_look_at(&f->look, &before);
    wb_state_lock(&f->state); /* as a writer does whose disk hangs */
    assert_int_equal(pthread_create(&thread, NULL, look, &f->look), 0);
    assert_int_equal(pthread_join(thread, &got), 0); /* it returns though the lock is held */
    wb_state_unlock(&f->state);
    assert_int_equal(((wb_seen *)got)->seen_mono, before.seen_mono);
    wb_look_renew(&f->look);
    wb_look_at(&f->look, &before);
    assert_true(before.seen_mono > ((wb_seen *)got)->seen_mono);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(what_is_there_is_seen_at_once, start, stop),
        cmocka_unit_test_setup_teardown(while_the_state_is_held_what_was_seen_last_is_the_answer,
                                        start, stop),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
