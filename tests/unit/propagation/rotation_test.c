/* SPDX-License-Identifier: Apache-2.0 */
/* Rotation, and every place at which it may be interrupted. The test is linked with the system calls
 * that change a disk wrapped: before the n-th of them the process dies (in a child) or the call fails,
 * for every n; then the directory must hold a ring that loads and knows every key that ever signed,
 * and the same command must finish the job. The same wrappers watch the order that a power cut asks
 * for: no name is changed while a file's bytes or another folder's names are not synced. */
#include "propagation/rotation.h"

#include "propagation/retired.h"
#include "tests/unit/propagation/folder.h"

#include <errno.h>
#include <stdatomic.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
/* cmocka wants the four above first */
#include <cmocka.h>

enum { DIED = 77, FAILED = 78, NEVER = 1 << 30 };

/* ---- the disk ------------------------------------------------------------------------------- */

static struct {
    bool watching, dies;
    int calls, at;     /* `at`: the call that does not happen */
    ino_t file, names; /* what is not synced yet; 0: nothing */
    const char *out_of_order;
} disk;

static void disk_reset(bool watching, bool dies, int at)
{
    disk.watching = watching;
    disk.dies = dies;
    disk.calls = 0;
    disk.at = at;
    disk.file = disk.names = 0;
    disk.out_of_order = NULL;
}

/* False: this call fails. */
static bool disk_step(void)
{
    if (!disk.watching) return true;
    if (disk.calls++ != disk.at) return true;
    if (disk.dies) _exit(DIED);
    errno = EIO;
    return false;
}

static ino_t inode_of(int fd)
{
    struct stat st;
    return fstat(fd, &st) == 0 ? st.st_ino : 0;
}

static void name_changes(int dir_fd)
{
    ino_t dir = inode_of(dir_fd);
    if (disk.file) disk.out_of_order = "a name was given to bytes that are not synced";
    if (disk.names && disk.names != dir)
        disk.out_of_order = "another folder's names are not synced";
    disk.names = dir;
}

int __real_mkdir(const char *path, mode_t mode);
ssize_t __real_write(int fd, const void *bytes, size_t len);
int __real_fsync(int fd);
int __real_renameat(int from_dir, const char *from, int to_dir, const char *to);
int __real_renameat2(int from_dir, const char *from, int to_dir, const char *to, unsigned flags);
int __real_unlinkat(int dir, const char *name, int flags);
int __wrap_mkdir(const char *path, mode_t mode);
ssize_t __wrap_write(int fd, const void *bytes, size_t len);
int __wrap_fsync(int fd);
int __wrap_renameat(int from_dir, const char *from, int to_dir, const char *to);
int __wrap_renameat2(int from_dir, const char *from, int to_dir, const char *to, unsigned flags);
int __wrap_unlinkat(int dir, const char *name, int flags);

int __wrap_mkdir(const char *path, mode_t mode)
{
    return disk_step() ? __real_mkdir(path, mode) : -1;
}

ssize_t __wrap_write(int fd, const void *bytes, size_t len)
{
    if (!disk_step()) {
        (void)__real_write(fd, bytes, len / 2);
        return -1;
    }
    if (disk.watching) disk.file = inode_of(fd);
    return __real_write(fd, bytes, len);
}

int __wrap_fsync(int fd)
{
    if (!disk_step()) return -1;
    if (disk.file == inode_of(fd)) disk.file = 0;
    if (disk.names == inode_of(fd)) disk.names = 0;
    return __real_fsync(fd);
}

int __wrap_renameat(int from_dir, const char *from, int to_dir, const char *to)
{
    if (!disk_step()) return -1;
    name_changes(to_dir);
    return __real_renameat(from_dir, from, to_dir, to);
}

int __wrap_renameat2(int from_dir, const char *from, int to_dir, const char *to, unsigned flags)
{
    if (!disk_step()) return -1;
    name_changes(to_dir);
    return __real_renameat2(from_dir, from, to_dir, to, flags);
}

int __wrap_unlinkat(int dir, const char *name, int flags)
{
    if (!disk_step()) return -1;
    disk.names = inode_of(dir);
    return __real_unlinkat(dir, name, flags);
}

/* ---- the commands --------------------------------------------------------------------------- */

static uint64_t made_at(const folder *f)
{
    WB_AUTO(wb_key_ring) ring = NULL;
    assert_int_equal(wb_key_ring_open(f->keys, &ring, NULL), WB_OK);
    return wb_key_ring_at(ring, 1)->made_s;
}

static wb_rotation rotate(const folder *f, uint64_t now_s, bool force)
{
    wb_rotation r = {0};
    wb_error err = {0};
    if (wb_key_rotate(f->keys, now_s, force, &r, &err) != WB_OK) fail_msg("%s", err.detail);
    return r;
}

static void the_first_call_makes_a_next_key_and_says_when_it_may_sign(void **state)
{
    folder *f = *state;
    WB_AUTO(wb_key_ring) ring = NULL;
    folder_key(f, "current.key", LINE_A, 0600);
    wb_rotation r = rotate(f, 0, false);
    assert_int_equal(r.step, WB_ROTATION_MADE_NEXT);
    assert_string_equal(r.current_kid, KID_A);
    assert_int_equal(wb_key_ring_open(f->keys, &ring, NULL), WB_OK);
    assert_string_equal(wb_key_ring_kid(ring), KID_A); /* it does not sign yet */
    assert_string_equal(wb_key_ring_at(ring, 1)->key.kid, r.next_kid);
    assert_int_equal(wb_key_ring_at(ring, 1)->role, WB_KEY_NEXT);
    assert_true(r.ready_s == wb_key_ring_at(ring, 1)->made_s + 600);
}

static void a_next_key_does_not_sign_before_peers_can_have_seen_it(void **state)
{
    folder *f = *state;
    folder_key(f, "current.key", LINE_A, 0600);
    folder_key(f, "next.key", LINE_B, 0600);
    uint64_t made = made_at(f), moments[] = {0, made, made + 599};
    for (size_t i = 0; i < WB_COUNT(moments); i++) {
        wb_rotation r = rotate(f, moments[i], false);
        assert_int_equal(r.step, WB_ROTATION_TOO_EARLY);
        assert_string_equal(r.current_kid, KID_A);
        assert_string_equal(r.next_kid, KID_B);
        assert_true(r.ready_s == made + 600);
    }
    assert_int_equal(rotate(f, made + 600, false).step, WB_ROTATION_PROMOTED);
}

static void the_old_key_is_kept_for_what_it_signed(void **state)
{
    folder *f = *state;
    WB_AUTO(wb_key_ring) ring = NULL;
    folder_key(f, "current.key", LINE_A, 0600);
    folder_key(f, "next.key", LINE_B, 0600);
    uint64_t now = made_at(f) + 600;
    wb_rotation r = rotate(f, now, false);
    assert_string_equal(r.current_kid, KID_B);
    assert_string_equal(r.retired_kid, KID_A);
    assert_string_equal(r.next_kid, "");
    assert_true(r.retired_exp_s == now + 900);
    assert_int_equal(wb_key_ring_open(f->keys, &ring, NULL), WB_OK);
    assert_string_equal(wb_key_ring_kid(ring), KID_B);
    const wb_ring_key *old = wb_key_ring_find(ring, WB_S(KID_A));
    assert_int_equal(old->role, WB_KEY_RETIRED);
    assert_true(old->key.nbf == 0 && old->key.exp == now + 900);
    assert_false(folder_has_key(f, "next.key"));
}

static void force_makes_and_promotes_in_one_call(void **state)
{
    folder *f = *state;
    folder_key(f, "current.key", LINE_A, 0600);
    wb_rotation r = rotate(f, 1000, true);
    assert_int_equal(r.step, WB_ROTATION_PROMOTED);
    assert_string_equal(r.retired_kid, KID_A);
    assert_string_not_equal(r.current_kid, KID_A);
    assert_true(r.retired_exp_s == 1900);
}

static void without_a_current_key_there_is_nothing_to_rotate(void **state)
{
    folder *f = *state;
    wb_rotation r;
    wb_key_role was;
    assert_int_equal(wb_key_rotate(f->keys, 0, true, &r, NULL), WB_ERR_NOT_FOUND);
    folder_key(f, "next.key", LINE_B, 0600);
    assert_int_equal(wb_key_rotate(f->keys, 0, true, &r, NULL), WB_ERR_NOT_FOUND);
    assert_int_equal(wb_key_retire(f->keys, KID_B, 0, false, &was, NULL), WB_ERR_NOT_FOUND);
}

static void retiring_ends_a_key_by_its_role(void **state)
{
    folder *f = *state;
    wb_key_role was = WB_KEY_CURRENT;
    folder_key(f, "current.key", LINE_A, 0600);
    folder_key(f, "next.key", LINE_B, 0600);
    assert_int_equal(wb_key_retire(f->keys, KID_A, 50, false, &was, NULL), WB_ERR_REJECTED);
    assert_int_equal(wb_key_retire(f->keys, KID_A, 50, true, &was, NULL), WB_ERR_REJECTED);
    assert_int_equal(wb_key_retire(f->keys, "nobody", 50, true, &was, NULL), WB_ERR_NOT_FOUND);
    assert_int_equal(wb_key_retire(f->keys, KID_B, 50, false, &was, NULL), WB_OK);
    assert_int_equal(was, WB_KEY_NEXT);
    assert_false(folder_has_key(f, "next.key"));
    WB_AUTO(wb_key_ring) ring = NULL;
    assert_int_equal(wb_key_ring_open(f->keys, &ring, NULL), WB_OK);
    assert_true(wb_key_ring_find(ring, WB_S(KID_B))->key.exp == 50);
    assert_int_equal(wb_key_retire(f->keys, KID_B, 60, false, &was, NULL), WB_OK);
    assert_int_equal(was, WB_KEY_RETIRED);
    WB_AUTO(wb_key_ring) later = NULL;
    assert_int_equal(wb_key_ring_open(f->keys, &later, NULL), WB_OK);
    assert_true(wb_key_ring_find(later, WB_S(KID_B))->key.exp == 50); /* never later than before */
    assert_int_equal(wb_key_retire(f->keys, KID_B, 40, false, &was, NULL), WB_OK);
    assert_int_equal(wb_key_retire(f->keys, KID_B, 40, true, &was, NULL), WB_OK);
    assert_int_equal(wb_key_retire(f->keys, KID_B, 40, true, &was, NULL), WB_ERR_NOT_FOUND);
}

/* ---- interruptions -------------------------------------------------------------------------- */

typedef struct command {
    const char *name;
    bool has_next;
    wb_status (*run)(const char *keys);
    size_t keys_after; /* that the finished ring knows */
} command;

static wb_status run_make(const char *keys)
{
    wb_rotation r;
    return wb_key_rotate(keys, 0, false, &r, NULL);
}

static wb_status run_promote(const char *keys)
{
    wb_rotation r;
    return wb_key_rotate(keys, 5000000000, false, &r, NULL);
}

static wb_status run_force(const char *keys)
{
    wb_rotation r;
    return wb_key_rotate(keys, 1000, true, &r, NULL);
}

static wb_status run_withdraw(const char *keys)
{
    wb_key_role was;
    return wb_key_retire(keys, KID_B, 50, false, &was, NULL);
}

static wb_status run_new(const char *keys) { return wb_key_new(keys, NULL); }

static const command commands[] = {
    {"make next", false, run_make, 2},
    {"promote", true, run_promote, 2},
    {"force", false, run_force, 2},
    {"withdraw", true, run_withdraw, 2},
};

static void lay_down(const folder *f, const command *c)
{
    disk_reset(false, false, NEVER);
    folder_remove(f->keys);
    folder_key(f, "current.key", LINE_A, 0600);
    if (c->has_next) folder_key(f, "next.key", LINE_B, 0600);
}

/* Whatever was interrupted: a ring that loads and knows the keys of before. */
static size_t check_loadable(const folder *f, const command *c, int at)
{
    WB_AUTO(wb_key_ring) ring = NULL;
    wb_error err = {0};
    size_t n = 0;
    disk_reset(false, false, NEVER);
    if (wb_key_ring_open(f->keys, &ring, &err) != WB_OK)
        fail_msg("%s, call %d: %s", c->name, at, err.detail);
    if (!wb_key_ring_find(ring, WB_S(KID_A))) fail_msg("%s, call %d: A is lost", c->name, at);
    if (c->has_next && !wb_key_ring_find(ring, WB_S(KID_B)))
        fail_msg("%s, call %d: B is lost", c->name, at);
    assert_int_equal(wb_key_ring_at(ring, 0)->role, WB_KEY_CURRENT);
    while (wb_key_ring_at(ring, n)) n++;
    return n;
}

/* The same again, which may find the job done. */
static void check_finishes(const folder *f, const command *c, int at)
{
    if (c->run == run_promote && !folder_has_key(f, "next.key")) return;
    wb_status status = c->run(f->keys);
    if (status != WB_OK) fail_msg("%s, call %d: does not finish", c->name, at);
    if (check_loadable(f, c, at) < c->keys_after) fail_msg("%s, call %d: a key less", c->name, at);
}

static bool dies_at(const folder *f, const command *c, int at)
{
    int status = 0;
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        disk_reset(true, true, at);
        _exit(c->run(f->keys) == WB_OK ? 0 : FAILED);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    assert_true(WEXITSTATUS(status) == 0 || WEXITSTATUS(status) == DIED);
    return WEXITSTATUS(status) == DIED;
}

static void every_crash_leaves_a_ring_that_loads_and_a_job_that_finishes(void **state)
{
    folder *f = *state;
    for (size_t i = 0; i < WB_COUNT(commands); i++) {
        int at = 0;
        for (;; at++) {
            lay_down(f, &commands[i]);
            bool died = dies_at(f, &commands[i], at);
            (void)check_loadable(f, &commands[i], at);
            if (!died) break;
            check_finishes(f, &commands[i], at);
        }
        assert_in_range(at, 4, 40); /* the wrappers are there */
        print_message("%s: %d places to die at\n", commands[i].name, at);
    }
}

static void every_failing_call_leaves_a_ring_that_loads_and_a_job_that_finishes(void **state)
{
    folder *f = *state;
    for (size_t i = 0; i < WB_COUNT(commands); i++) {
        for (int at = 0;; at++) {
            lay_down(f, &commands[i]);
            disk_reset(true, false, at);
            wb_status status = commands[i].run(f->keys);
            bool failed = disk.calls > at;
            if (!failed) assert_int_equal(status, WB_OK);
            (void)check_loadable(f, &commands[i], at);
            if (!failed) break;
            check_finishes(f, &commands[i], at);
        }
    }
}

static void names_change_only_over_what_is_synced(void **state)
{
    folder *f = *state;
    for (size_t i = 0; i < WB_COUNT(commands); i++) {
        lay_down(f, &commands[i]);
        disk_reset(true, false, NEVER);
        assert_int_equal(commands[i].run(f->keys), WB_OK);
        if (disk.out_of_order) fail_msg("%s: %s", commands[i].name, disk.out_of_order);
        assert_int_equal(disk.file, 0);
        assert_int_equal(disk.names, 0); /* nothing is left to chance behind the answer */
    }
}

static void a_first_key_is_whole_or_not_there(void **state)
{
    static const command first = {"new", false, run_new, 1};
    folder *f = *state;
    for (int at = 0;; at++) {
        WB_AUTO(wb_key_ring) ring = NULL;
        folder_remove(f->keys);
        bool died = dies_at(f, &first, at);
        wb_status status = wb_key_ring_open(f->keys, &ring, NULL);
        if (status != WB_OK) assert_int_equal(status, WB_ERR_NOT_FOUND);
        if (!died) assert_int_equal(status, WB_OK);
        if (!died) break;
    }
}

/* Two operators, one directory: they take turns, and no key is lost. */
static void commands_at_once_take_turns(void **state)
{
    enum { CHILDREN = 6 };
    folder *f = *state;
    folder_key(f, "current.key", LINE_A, 0600);
    for (int i = 0; i < CHILDREN; i++) {
        pid_t child = fork();
        assert_true(child >= 0);
        if (child == 0) _exit(run_force(f->keys) == WB_OK ? 0 : FAILED);
    }
    for (int i = 0; i < CHILDREN; i++) {
        int status = 0;
        assert_true(wait(&status) > 0);
        assert_true(WIFEXITED(status));
        assert_int_equal(WEXITSTATUS(status), 0);
    }
    WB_AUTO(wb_key_ring) ring = NULL;
    size_t n = 0;
    assert_int_equal(wb_key_ring_open(f->keys, &ring, NULL), WB_OK);
    while (wb_key_ring_at(ring, n)) n++;
    assert_int_equal(n, CHILDREN + 1); /* each promoted one key, and retired the one before */
}

static void no_more_keys_are_retired_than_a_ring_takes(void **state)
{
    folder *f = *state;
    wb_rotation r;
    folder_key(f, "current.key", LINE_A, 0600);
    for (int i = 0; i < WB_RETIRED_MAX; i++)
        assert_int_equal(wb_key_rotate(f->keys, 1000, true, &r, NULL), WB_OK);
    assert_int_equal(wb_key_rotate(f->keys, 1000, true, &r, NULL), WB_ERR_FULL);
    wb_key_role was;
    assert_int_equal(wb_key_retire(f->keys, KID_A, 1000, true, &was, NULL), WB_OK);
    assert_int_equal(wb_key_rotate(f->keys, 1000, true, &r, NULL), WB_OK);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, folder_up, folder_down)
    const struct CMUnitTest tests[] = {
        TEST(the_first_call_makes_a_next_key_and_says_when_it_may_sign),
        TEST(a_next_key_does_not_sign_before_peers_can_have_seen_it),
        TEST(the_old_key_is_kept_for_what_it_signed),
        TEST(force_makes_and_promotes_in_one_call),
        TEST(without_a_current_key_there_is_nothing_to_rotate),
        TEST(retiring_ends_a_key_by_its_role),
        TEST(every_crash_leaves_a_ring_that_loads_and_a_job_that_finishes),
        TEST(every_failing_call_leaves_a_ring_that_loads_and_a_job_that_finishes),
        TEST(names_change_only_over_what_is_synced),
        TEST(a_first_key_is_whole_or_not_there),
        TEST(commands_at_once_take_turns),
        TEST(no_more_keys_are_retired_than_a_ring_takes),
    };
    return cmocka_run_group_tests_name("rotation", tests, NULL, NULL);
}
