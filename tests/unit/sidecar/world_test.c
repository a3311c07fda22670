/* SPDX-License-Identifier: Apache-2.0 */
#include "sidecar/world.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

typedef struct fixture {
    char dir[32], keys[64], trust[64], revoked[96], yaml[64];
    wb_arena *arena;
    wb_sidecar_config config;
    wb_world_source source;
    wb_worlds *worlds;
    wb_error err;
} fixture;

static void put(const char *path, const char *text)
{
    int fd = open(path, O_CREAT | O_WRONLY | O_TRUNC, 0600);
    assert_true(fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text));
    assert_int_equal(close(fd), 0);
}

static int setup(void **state)
{
    fixture *f = calloc(1, sizeof *f);
    wb_key_ring *ring = NULL;
    *state = f;
    if (!f || !(f->arena = wb_arena_new(8 << 20))) return -1;
    (void)snprintf(f->dir, sizeof f->dir, "/tmp/wb-world-XXXXXX");
    if (!mkdtemp(f->dir)) return -1;
    (void)snprintf(f->keys, sizeof f->keys, "%s/keys", f->dir);
    (void)snprintf(f->trust, sizeof f->trust, "%s/trust.d", f->dir);
    (void)snprintf(f->revoked, sizeof f->revoked, "%s/" WB_REVOKED_FILE, f->trust);
    (void)snprintf(f->yaml, sizeof f->yaml, "%s/c.yaml", f->dir);
    if (mkdir(f->trust, 0700) != 0) return -1;
    put(f->yaml, "workers: 2\n");
    if (wb_key_ring_open_or_new(f->keys, &ring, NULL, &f->err) != WB_OK) return -1;
    wb_key_ring_free(ring);
    if (wb_sidecar_config_load(f->yaml, "w", NULL, f->arena, &f->config, &f->err) != WB_OK)
        return -1;
    f->source = (wb_world_source){.keys_dir = f->keys,
                                  .trust_dir = f->trust,
                                  .config_path = f->yaml,
                                  .config = &f->config,
                                  .clock = &wb_system_clock};
    return 0;
}

static int teardown(void **state)
{
    fixture *f = *state;
    char command[64];
    (void)snprintf(command, sizeof command, "rm -r %s", f->dir);
    wb_worlds_free(f->worlds);
    wb_arena_free(f->arena);
    int rv = system(command); /* NOLINT(cert-env33-c): our own directory */
    free(f);
    return rv;
}

static const wb_world *take_first(fixture *f)
{
    assert_int_equal(wb_worlds_open(&f->source, &f->worlds, &f->err), WB_OK);
    return wb_world_take(f->worlds);
}

static const wb_world *take_next(fixture *f)
{
    assert_int_equal(wb_worlds_reload(f->worlds, &f->err), WB_OK);
    return wb_world_take(f->worlds);
}

static void a_first_world_has_nothing_to_fall_back_to(void **state)
{
    fixture *f = *state;
    put(f->revoked, "kid nonsense 1\n");
    assert_int_equal(wb_worlds_open(&f->source, &f->worlds, &f->err), WB_ERR_CONFIG);
    assert_null(f->worlds);
    assert_int_equal(unlink(f->revoked), 0);
    assert_int_equal(chmod(f->keys, 0755), 0);
    assert_int_equal(chmod(f->keys, 0777), 0);
    assert_int_equal(wb_worlds_open(&f->source, &f->worlds, &f->err), WB_ERR_CONFIG);
    assert_int_equal(chmod(f->keys, 0700), 0);
}

static void a_world_in_hand_outlives_the_reload(void **state)
{
    fixture *f = *state;
    const wb_world *first = take_first(f);
    put(f->yaml, "trust: {skew_s: 7}\nworkers: 5\n");
    const wb_world *second = take_next(f);
    assert_int_equal(first->generation, 1);
    assert_int_equal(second->generation, 2);
    assert_int_equal(first->config.trust_skew_s, 60);
    assert_int_equal(second->config.trust_skew_s, 7);
    assert_int_equal(second->config.workers, 2);
    assert_int_equal(wb_world_stale(second), 1);
    assert_string_equal(second->stale[0], "workers");
    assert_string_equal(wb_key_ring_kid(first->ring), wb_key_ring_kid(second->ring));
    wb_world_drop(first);
    wb_world_drop(second);
}

static void each_part_falls_back_by_itself(void **state)
{
    fixture *f = *state;
    char text[WB_WORLD_PROBLEM_TEXT];
    put(f->revoked, "iss spiffe://example.org/x 1\n");
    const wb_world *first = take_first(f);
    assert_true(wb_revoked_iss(first->revoked, WB_S("spiffe://example.org/x"), 2));
    wb_world_drop(first);
    put(f->revoked, "nonsense\n");
    put(f->yaml, "trust: {skew_s: 7}\n");
    const wb_world *second = take_next(f);
    assert_true(wb_revoked_iss(second->revoked, WB_S("spiffe://example.org/x"), 2));
    assert_int_equal(second->config.trust_skew_s, 7); /* the healthy part was taken */
    assert_int_equal(wb_world_problems(second), 1);
    wb_world_problem_text(second, 0, text);
    assert_non_null(strstr(text, "revoked: "));
    wb_world_drop(second);
    put(f->yaml, "no: such key\n");
    put(f->revoked, "");
    const wb_world *third = take_next(f);
    assert_false(wb_revoked_iss(third->revoked, WB_S("spiffe://example.org/x"), 2));
    assert_false(wb_world_may_heal(third)); /* of the configuration nothing is tried again */
    assert_int_equal(third->config.trust_skew_s, 7); /* as it was before, not as at the start */
    assert_string_equal(third->problems[0].part, "config");
    wb_world_drop(third);
}

static wb_status read_bearer(void *self, wb_error *err)
{
    const bool *is_broken = self;
    return *is_broken ? wb_fail(err, WB_ERR_CONFIG, "bearer_file: is empty") : WB_OK;
}

static void what_is_read_besides_is_a_problem_until_it_is_well(void **state)
{
    fixture *f = *state;
    bool is_broken = true;
    char text[WB_WORLD_PROBLEM_TEXT];
    f->source.besides = (wb_world_besides){"otlp", read_bearer, &is_broken};
    const wb_world *first = take_first(f);
    assert_int_equal(wb_world_problems(first), 0); /* whoever has it read it for the start */
    wb_world_drop(first);
    const wb_world *second = take_next(f);
    assert_int_equal(wb_world_problems(second), 1);
    assert_true(wb_world_may_heal(second));
    wb_world_problem_text(second, 0, text);
    assert_string_equal(text,
                        "otlp: bearer_file: is empty; what was there before holds in its place");
    wb_world_drop(second);
    is_broken = false;
    const wb_world *third = take_next(f);
    assert_int_equal(wb_world_problems(third), 0);
    assert_false(wb_world_may_heal(third));
    wb_world_drop(third);
}

static void check_still_revoked(fixture *f)
{
    const wb_world *world = take_next(f);
    assert_true(wb_revoked_iss(world->revoked, WB_S("spiffe://example.org/x"), 2));
    assert_int_equal(wb_world_problems(world), 1);
    assert_string_equal(world->problems[0].part, "revoked");
    assert_true(wb_world_may_heal(world));
    wb_world_drop(world);
}

static void revocations_are_not_lifted_by_a_list_that_is_gone(void **state)
{
    fixture *f = *state;
    char moved[64];
    put(f->revoked, "iss spiffe://example.org/x 1\n");
    wb_world_drop(take_first(f));
    (void)snprintf(moved, sizeof moved, "%s/away", f->dir);
    assert_int_equal(rename(f->trust, moved), 0);
    check_still_revoked(f);
    assert_int_equal(symlink("nothing", f->trust), 0);
    check_still_revoked(f);
    assert_int_equal(unlink(f->trust), 0);
    assert_int_equal(rename(moved, f->trust), 0);
    assert_int_equal(unlink(f->revoked), 0);
    check_still_revoked(f);
    assert_int_equal(symlink("nothing", f->revoked), 0);
    check_still_revoked(f);
    wb_worlds_free(f->worlds);
    f->worlds = NULL;
    assert_int_equal(wb_worlds_open(&f->source, &f->worlds, &f->err), WB_ERR_CONFIG);
}

static void what_no_descriptor_was_left_for_may_heal(void **state)
{
    fixture *f = *state;
    struct rlimit before, none;
    wb_world_drop(take_first(f));
    put(f->revoked, "iss spiffe://example.org/x 1\n");
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
    none = (struct rlimit){.rlim_cur = 0, .rlim_max = before.rlim_max};
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
    const wb_world *starved = take_next(f);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
    assert_true(wb_world_may_heal(starved));
    const wb_world *healed = take_next(f);
    assert_false(wb_world_may_heal(healed));
    assert_true(wb_revoked_iss(healed->revoked, WB_S("spiffe://example.org/x"), 2));
    assert_true(wb_world_problems_hash(starved) != wb_world_problems_hash(healed));
    wb_world_drop(starved);
    wb_world_drop(healed);
}

static void a_world_knows_when_its_files_moved_on(void **state)
{
    fixture *f = *state;
    wb_world_drop(take_first(f));
    assert_false(wb_worlds_are_stale(f->worlds));
    put(f->revoked, "");
    assert_true(wb_worlds_are_stale(f->worlds));
    wb_world_drop(take_next(f));
    assert_false(wb_worlds_are_stale(f->worlds));
}

typedef struct taker {
    wb_worlds *worlds;
    atomic_bool *stop;
    uint64_t seen;
} taker;

/* What a request does, without the rest of it. */
static void *take_and_drop(void *arg)
{
    taker *t = arg;
    while (!atomic_load(t->stop)) {
        const wb_world *world = wb_world_take(t->worlds);
        WB_ASSERT(world->generation >= t->seen && wb_key_ring_kid(world->ring)[0]);
        WB_ASSERT(!wb_revoked_iss(world->revoked, WB_S("spiffe://example.org/x"), 1));
        t->seen = world->generation;
        wb_world_drop(world);
    }
    return NULL;
}

static void takers_and_reloads_do_not_meet(void **state)
{
    enum { TAKERS = 4, RELOADS = 50 };
    fixture *f = *state;
    pthread_t threads[TAKERS];
    taker takers[TAKERS];
    atomic_bool stop = false;
    wb_world_drop(take_first(f));
    for (int i = 0; i < TAKERS; i++) {
        takers[i] = (taker){.worlds = f->worlds, .stop = &stop};
        assert_int_equal(pthread_create(&threads[i], NULL, take_and_drop, &takers[i]), 0);
    }
    for (int i = 0; i < RELOADS; i++) wb_world_drop(take_next(f));
    atomic_store(&stop, true);
    for (int i = 0; i < TAKERS; i++) pthread_join(threads[i], NULL);
    const wb_world *last = wb_world_take(f->worlds);
    assert_int_equal(last->generation, RELOADS + 1);
    wb_world_drop(last);
}

int main(void)
{
    wb_error err = {0};
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_first_world_has_nothing_to_fall_back_to, setup, teardown),
        cmocka_unit_test_setup_teardown(a_world_in_hand_outlives_the_reload, setup, teardown),
        cmocka_unit_test_setup_teardown(each_part_falls_back_by_itself, setup, teardown),
        cmocka_unit_test_setup_teardown(what_is_read_besides_is_a_problem_until_it_is_well, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(revocations_are_not_lifted_by_a_list_that_is_gone, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(what_no_descriptor_was_left_for_may_heal, setup, teardown),
        cmocka_unit_test_setup_teardown(a_world_knows_when_its_files_moved_on, setup, teardown),
        cmocka_unit_test_setup_teardown(takers_and_reloads_do_not_meet, setup, teardown),
    };
    if (wb_self_test(&err) != WB_OK) return 1;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
