/* SPDX-License-Identifier: Apache-2.0 */
/* The key's file: what is refused, what is made, what mounted secrets look like; and that many threads
 * may sign at once while the key's pages are closed in between. */
#include "propagation/keyring.h"

#include "propagation/token.h"
#include "tests/unit/propagation/folder.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
/* cmocka wants the four above first */
#include <cmocka.h>

static void lay_down(const folder *f, const char *text, mode_t mode)
{
    folder_key(f, "current.key", text, mode);
}

static wb_status load(folder *f)
{
    wb_error err = {0};
    WB_AUTO(wb_key_ring) ring = NULL;
    wb_status st = wb_key_ring_open(f->keys, &ring, &err);
    assert_true((st == WB_OK) == (ring != NULL));
    if (st != WB_OK) {
        assert_int_equal(err.status, st);
        assert_null(strstr(err.detail, SEED_A)); /* nothing of a file's content in a log */
    }
    return st;
}

static void a_file_that_is_no_key_is_refused(void **state)
{
    static const char *const cases[] = {
        "",
        "\n",
        "waybill-sk-v1:",
        "waybill-sk-v2:" KID_A ":" SEED_A,
        "waybill-pk-v1:" KID_A ":" SEED_A,
        "waybill-sk-v1:AkXIZFzonb59ZmGwyKgi3H3BwMi6amevqdKQiLZhdtc:" SEED_A,
        "waybill-sk-v1:" KID_A ":AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh9",
        "waybill-sk-v1:" KID_A ":AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh",
        LINE_A " ",
        LINE_A "\r\n",
        LINE_A "\n\n",
        LINE_A LINE_A,
        " " LINE_A,
    };
    folder *f = *state;
    for (size_t i = 0; i < WB_COUNT(cases); i++) {
        lay_down(f, cases[i], 0600);
        if (load(f) != WB_ERR_CONFIG) fail_msg("\"%s\" was loaded", cases[i]);
    }
}

static void a_file_open_to_others_is_refused(void **state)
{
    static const struct {
        mode_t mode;
        wb_status expected;
    } cases[] = {{0644, WB_ERR_CONFIG}, {0604, WB_ERR_CONFIG}, {0601, WB_ERR_CONFIG},
                 {0620, WB_ERR_CONFIG}, {0660, WB_ERR_CONFIG}, {0610, WB_ERR_CONFIG},
                 {0640, WB_OK},         {0440, WB_OK},         {0400, WB_OK},
                 {0600, WB_OK}};
    folder *f = *state;
    for (size_t i = 0; i < WB_COUNT(cases); i++) {
        lay_down(f, LINE_A "\n", 0600);
        assert_int_equal(chmod(f->file, cases[i].mode), 0);
        if (load(f) != cases[i].expected) fail_msg("mode %o", cases[i].mode);
        assert_int_equal(chmod(f->file, 0600), 0);
    }
}

static void a_folder_open_to_others_is_refused(void **state)
{
    folder *f = *state;
    lay_down(f, LINE_A, 0600);
    assert_int_equal(chmod(f->keys, 0770), 0);
    assert_int_equal(load(f), WB_ERR_CONFIG);
    assert_int_equal(wb_key_new(f->keys, NULL), WB_ERR_CONFIG);
    assert_int_equal(chmod(f->keys, 0702), 0);
    assert_int_equal(load(f), WB_ERR_CONFIG);
    assert_int_equal(chmod(f->keys, 0755), 0);
    assert_int_equal(load(f), WB_OK);
    assert_int_equal(chmod(f->root, 0777), 0); /* above it, without the sticky bit */
    assert_int_equal(load(f), WB_ERR_CONFIG);
    assert_int_equal(chmod(f->root, 01777), 0);
    assert_int_equal(load(f), WB_OK);
}

static void what_is_no_plain_file_of_ours_is_refused(void **state)
{
    folder *f = *state;
    char other[128];
    (void)snprintf(other, sizeof other, "%s/other", f->root);
    assert_int_equal(load(f), WB_ERR_NOT_FOUND);
    assert_int_equal(mkdir(f->keys, 0700), 0);
    assert_int_equal(load(f), WB_ERR_NOT_FOUND);
    assert_int_equal(mkdir(f->file, 0700), 0);
    assert_int_equal(load(f), WB_ERR_CONFIG);
    assert_int_equal(rmdir(f->file), 0);
    assert_int_equal(mkfifo(f->file, 0600), 0);
    assert_int_equal(load(f), WB_ERR_CONFIG); /* and it does not hang */
    assert_int_equal(unlink(f->file), 0);
    lay_down(f, LINE_A, 0600);
    assert_int_equal(link(f->file, other), 0);
    assert_int_equal(load(f), WB_ERR_CONFIG);
    assert_int_equal(unlink(f->file), 0);
    assert_int_equal(symlink(other, f->file), 0); /* a good key, but outside keys/ */
    assert_int_equal(load(f), WB_ERR_CONFIG);
}

static void a_mounted_secret_is_loaded_through_its_links(void **state)
{
    folder *f = *state;
    char path[160];
    assert_int_equal(mkdir(f->keys, 0700), 0);
    (void)snprintf(path, sizeof path, "%s/..2026_01_01", f->keys);
    assert_int_equal(mkdir(path, 0755), 0);
    (void)snprintf(path, sizeof path, "%s/..2026_01_01/current.key", f->keys);
    folder_write(path, LINE_A, 0400);
    (void)snprintf(path, sizeof path, "%s/..data", f->keys);
    assert_int_equal(symlink("..2026_01_01", path), 0);
    assert_int_equal(symlink("..data/current.key", f->file), 0);
    assert_int_equal(load(f), WB_OK);
    (void)snprintf(path, sizeof path, "%s/..2026_01_01", f->keys);
    assert_int_equal(chmod(path, 0777), 0);
    assert_int_equal(load(f), WB_ERR_CONFIG);
}

/* One generation of a mounted secret: a folder with the files, and `..data` turned to it. */
static void mount_generation(const folder *f, const char *name, const char *current,
                             const char *next)
{
    char path[160], fresh[160];
    (void)snprintf(path, sizeof path, "%s/%s", f->keys, name);
    assert_int_equal(mkdir(path, 0755), 0);
    (void)snprintf(path, sizeof path, "%s/%s/current.key", f->keys, name);
    folder_write(path, current, 0440);
    (void)snprintf(path, sizeof path, "%s/%s/next.key", f->keys, name);
    if (next) folder_write(path, next, 0440);
    (void)snprintf(fresh, sizeof fresh, "%s/..data_tmp", f->keys);
    (void)snprintf(path, sizeof path, "%s/..data", f->keys);
    assert_int_equal(symlink(name, fresh), 0);
    assert_int_equal(rename(fresh, path), 0);
}

static void a_swap_of_mounted_secrets_shows_at_the_next_opening(void **state)
{
    folder *f = *state;
    char next[160];
    WB_AUTO(wb_key_ring) before = NULL;
    WB_AUTO(wb_key_ring) after = NULL;
    assert_int_equal(mkdir(f->keys, 0700), 0);
    (void)snprintf(next, sizeof next, "%s/next.key", f->keys);
    assert_int_equal(symlink("..data/current.key", f->file), 0);
    assert_int_equal(symlink("..data/next.key", next), 0);
    mount_generation(f, "..2026_01_01", LINE_A, LINE_B);
    assert_int_equal(wb_key_ring_open(f->keys, &before, NULL), WB_OK);
    mount_generation(f, "..2026_01_02", LINE_B, NULL);
    assert_string_equal(wb_key_ring_kid(before), KID_A); /* a ring never changes */
    assert_int_equal(wb_key_ring_open(f->keys, &after, NULL), WB_OK);
    assert_string_equal(wb_key_ring_kid(after), KID_B);
    assert_null(wb_key_ring_at(after, 1));
}

typedef struct swapper {
    const folder *f;
    atomic_bool stop;
} swapper;

/* Turns `..data` between (A, next B) and (B, next A) as fast as it can. */
static void *swap_many(void *arg)
{
    swapper *s = arg;
    char fresh[160], data[160];
    (void)snprintf(fresh, sizeof fresh, "%s/..data_tmp", s->f->keys);
    (void)snprintf(data, sizeof data, "%s/..data", s->f->keys);
    for (size_t i = 0; !atomic_load(&s->stop); i++) {
        const struct timespec pause = {.tv_nsec = 200000};
        if (symlink(i % 2 ? "..1" : "..2", fresh) != 0 || rename(fresh, data) != 0) return s;
        (void)nanosleep(&pause, NULL);
    }
    return NULL;
}

static void no_ring_is_half_of_one_generation_and_half_of_another(void **state)
{
    folder *f = *state;
    char next[160];
    size_t seen[2] = {0};
    swapper s = {.f = f};
    pthread_t thread;
    void *failed = NULL;
    assert_int_equal(mkdir(f->keys, 0700), 0);
    (void)snprintf(next, sizeof next, "%s/next.key", f->keys);
    assert_int_equal(symlink("..data/current.key", f->file), 0);
    assert_int_equal(symlink("..data/next.key", next), 0);
    mount_generation(f, "..1", LINE_A, LINE_B);
    mount_generation(f, "..2", LINE_B, LINE_A);
    assert_int_equal(pthread_create(&thread, NULL, swap_many, &s), 0);
    for (size_t i = 0; i < 2000 && (i < 200 || !seen[0] || !seen[1]); i++) {
        WB_AUTO(wb_key_ring) ring = NULL;
        wb_status status = wb_key_ring_open(f->keys, &ring, NULL);
        if (status == WB_ERR_UNAVAILABLE) continue; /* eight swaps in a row: said, not mixed */
        assert_int_equal(status, WB_OK);
        /* A torn one would show one key only, since the second would be there already. */
        assert_non_null(wb_key_ring_at(ring, 1));
        seen[strcmp(wb_key_ring_kid(ring), KID_A) == 0]++;
    }
    atomic_store(&s.stop, true);
    assert_int_equal(pthread_join(thread, &failed), 0);
    assert_null(failed);
    assert_true(seen[0] > 0 && seen[1] > 0);
}

static void a_key_for_a_group_that_is_not_ours_is_refused(void **state)
{
    folder *f = *state;
    lay_down(f, LINE_A, 0440);
    if (geteuid() != 0) { /* nobody but root can give a file to any group */
        assert_int_equal(chown(f->file, (uid_t)-1, 65533), -1);
        return;
    }
    assert_int_equal(chown(f->file, 0, getegid()), 0);
    assert_int_equal(load(f), WB_OK);
    assert_int_equal(chown(f->file, 0, 65533), 0);
    assert_int_equal(load(f), WB_ERR_CONFIG);
    const gid_t supplementary[] = {65533};
    gid_t before[64];
    int n = getgroups(64, before);
    assert_true(n >= 0);
    assert_int_equal(setgroups(1, supplementary), 0);
    assert_int_equal(load(f), WB_OK); /* as a pod's fsGroup */
    assert_int_equal(setgroups((size_t)n, before), 0);
}

static void a_ring_knows_its_keys_by_role_and_window(void **state)
{
    folder *f = *state;
    WB_AUTO(wb_key_ring) ring = NULL;
    folder_key(f, "retired/" KID_B ".pub", "waybill-pk-v1:" KID_B ":" X_B ":5:10\n", 0600);
    folder_key(f, "retired/.new-0123", "half", 0600); /* what a crash leaves */
    folder_key(f, "retired/notes.txt", "anything", 0600);
    lay_down(f, LINE_A "\n", 0600);
    assert_int_equal(wb_key_ring_open(f->keys, &ring, NULL), WB_OK);
    const wb_ring_key *current = wb_key_ring_find(ring, WB_S(KID_A));
    const wb_ring_key *retired = wb_key_ring_find(ring, WB_S(KID_B));
    assert_ptr_equal(current, wb_key_ring_at(ring, 0));
    assert_ptr_equal(retired, wb_key_ring_at(ring, 1));
    assert_null(wb_key_ring_at(ring, 2));
    assert_null(wb_key_ring_find(ring, WB_S("")));
    assert_int_equal(current->role, WB_KEY_CURRENT);
    assert_true(current->key.nbf == 0 && current->key.exp == UINT64_MAX && current->made_s > 0);
    assert_int_equal(retired->role, WB_KEY_RETIRED);
    assert_true(retired->key.nbf == 5 && retired->key.exp == 10);
    assert_true(wb_key_ring_sequence(ring) >= current->made_s);
}

static void a_key_in_two_places_counts_where_it_comes_first(void **state)
{
    folder *f = *state;
    WB_AUTO(wb_key_ring) ring = NULL;
    folder_key(f, "retired/" KID_A ".pub", "waybill-pk-v1:" KID_A ":" X_A ":5:10", 0600);
    folder_key(f, "next.key", LINE_A, 0600);
    lay_down(f, LINE_A, 0600);
    assert_int_equal(wb_key_ring_open(f->keys, &ring, NULL), WB_OK);
    assert_null(wb_key_ring_at(ring, 1));
    assert_int_equal(wb_key_ring_at(ring, 0)->role, WB_KEY_CURRENT);
    assert_true(wb_key_ring_at(ring, 0)->key.exp == UINT64_MAX);
}

/* Closed by default: a ring with a file that cannot be believed is no ring. */
static void a_faulty_next_or_retired_key_is_refused(void **state)
{
    static const struct {
        const char *name, *text;
        mode_t mode;
    } cases[] = {
        {"next.key", "waybill-sk-v1:", 0600},
        {"next.key", LINE_B, 0644},
        {"retired/" KID_B ".pub", "waybill-pk-v1:" KID_B ":" X_B ":5:10", 0644},
        {"retired/" KID_B ".pub", "waybill-pk-v1:" KID_B ":" X_B ":5", 0600},
        {"retired/" KID_A ".pub", "waybill-pk-v1:" KID_B ":" X_B ":5:10", 0600},
        {"retired/old.pub", "waybill-pk-v1:" KID_B ":" X_B ":5:10", 0600},
    };
    folder *f = *state;
    for (size_t i = 0; i < WB_COUNT(cases); i++) {
        folder_remove(f->keys);
        lay_down(f, LINE_A, 0600);
        assert_int_equal(load(f), WB_OK);
        folder_key(f, cases[i].name, cases[i].text, cases[i].mode);
        if (load(f) != WB_ERR_CONFIG) fail_msg("%s: %s", cases[i].name, cases[i].text);
    }
}

static void more_retired_keys_than_a_trust_file_takes_are_refused(void **state)
{
    folder *f = *state;
    lay_down(f, LINE_A, 0600);
    for (int i = 0; i <= WB_TRUST_KEYS_MAX - 2; i++) {
        uint8_t seed[WB_SEED_BYTES] = {(uint8_t)i, 1};
        char name[80], line[160], x[WB_HASH_B64 + 1];
        WB_AUTO(wb_key_ring) one = NULL;
        assert_int_equal(load(f), WB_OK);
        assert_int_equal(wb_key_ring_from_seed(seed, &one, NULL), WB_OK);
        wb_b64url_format(wb_slice_of(wb_key_ring_public(one), WB_KEY_BYTES), x);
        (void)snprintf(name, sizeof name, "retired/%s.pub", wb_key_ring_kid(one));
        (void)snprintf(line, sizeof line, "waybill-pk-v1:%s:%s:0:10", wb_key_ring_kid(one), x);
        folder_key(f, name, line, 0600);
    }
    assert_int_equal(load(f), WB_ERR_CONFIG);
}

static void a_folder_with_a_similar_name_is_outside(void **state)
{
    folder *f = *state;
    char path[160];
    (void)snprintf(path, sizeof path, "%s2", f->keys);
    assert_int_equal(mkdir(path, 0700), 0);
    (void)snprintf(path, sizeof path, "%s2/current.key", f->keys);
    folder_write(path, LINE_A, 0600);
    assert_int_equal(mkdir(f->keys, 0700), 0);
    assert_int_equal(symlink(path, f->file), 0);
    assert_int_equal(load(f), WB_ERR_CONFIG);
}

static void a_new_key_is_closed_to_others_and_never_overwrites(void **state)
{
    folder *f = *state;
    struct stat st;
    WB_AUTO(wb_key_ring) first = NULL;
    WB_AUTO(wb_key_ring) again = NULL;
    (void)umask(0);
    assert_int_equal(wb_key_new(f->keys, NULL), WB_OK);
    assert_int_equal(stat(f->keys, &st), 0);
    assert_int_equal(st.st_mode & 07777, 0700);
    assert_int_equal(stat(f->file, &st), 0);
    assert_int_equal(st.st_mode & 07777, 0600);
    assert_int_equal(wb_key_ring_open(f->keys, &first, NULL), WB_OK);
    wb_error err;
    assert_int_equal(wb_key_new(f->keys, &err), WB_ERR_REJECTED);
    assert_int_equal(wb_key_ring_open(f->keys, &again, NULL), WB_OK);
    assert_string_equal(wb_key_ring_kid(first), wb_key_ring_kid(again));
    assert_int_equal(unlink(f->file), 0);
    assert_int_equal(rmdir(f->keys), 0); /* the refusal left nothing behind */
}

static void the_first_start_makes_a_key_and_the_next_finds_it(void **state)
{
    folder *f = *state;
    WB_AUTO(wb_key_ring) first = NULL;
    WB_AUTO(wb_key_ring) second = NULL;
    bool made = false;
    assert_int_equal(wb_key_ring_open_or_new(f->keys, &first, &made, NULL), WB_OK);
    assert_true(made);
    assert_int_equal(wb_key_ring_open_or_new(f->keys, &second, &made, NULL), WB_OK);
    assert_false(made);
    assert_string_equal(wb_key_ring_kid(first), wb_key_ring_kid(second));
}

static void a_faulty_key_is_never_replaced(void **state)
{
    folder *f = *state;
    WB_AUTO(wb_key_ring) ring = NULL;
    lay_down(f, "waybill-sk-v1:damaged", 0600);
    assert_int_equal(wb_key_ring_open_or_new(f->keys, &ring, NULL, NULL), WB_ERR_CONFIG);
    assert_null(ring);
}

static void two_new_keys_differ(void **state)
{
    folder *f = *state;
    WB_AUTO(wb_key_ring) first = NULL;
    WB_AUTO(wb_key_ring) second = NULL;
    assert_int_equal(wb_key_ring_open_or_new(f->keys, &first, NULL, NULL), WB_OK);
    assert_int_equal(unlink(f->file), 0);
    assert_int_equal(wb_key_ring_open_or_new(f->keys, &second, NULL, NULL), WB_OK);
    assert_string_not_equal(wb_key_ring_kid(first), wb_key_ring_kid(second));
}

static void the_seed_gives_the_published_key(void **state)
{
    folder *f = *state;
    char x[WB_HASH_B64 + 1];
    WB_AUTO(wb_key_ring) ring = NULL;
    lay_down(f, LINE_A "\n", 0600);
    assert_int_equal(wb_key_ring_open(f->keys, &ring, NULL), WB_OK);
    assert_string_equal(wb_key_ring_kid(ring), KID_A);
    wb_b64url_format(wb_slice_of(wb_key_ring_public(ring), WB_KEY_BYTES), x);
    assert_string_equal(x, X_A);
}

static void a_seed_handed_over_is_wiped(void **state)
{
    uint8_t seed[WB_SEED_BYTES], zeros[WB_SEED_BYTES] = {0};
    WB_AUTO(wb_key_ring) ring = NULL;
    (void)state;
    memset(seed, 7, sizeof seed);
    assert_int_equal(wb_key_ring_from_seed(seed, &ring, NULL), WB_OK);
    assert_memory_equal(seed, zeros, sizeof seed);
}

/* In a child: as a user without privileges, and with no memory to lock. */
static int load_without_lockable_memory(void)
{
    const struct rlimit none = {0};
    uint8_t seed[WB_SEED_BYTES] = {1}, zeros[WB_SEED_BYTES] = {0};
    wb_key_ring *ring = NULL;
    if (geteuid() == 0 && setresuid(65534, 65534, 65534) != 0) return 2;
    if (setrlimit(RLIMIT_MEMLOCK, &none) != 0) return 3;
    if (mlock(seed, sizeof seed) == 0) return 0; /* under a sanitizer, whose mlock does nothing */
    if (wb_key_ring_from_seed(seed, &ring, NULL) != WB_ERR_UNAVAILABLE) return 4;
    return ring || memcmp(seed, zeros, sizeof seed) != 0 ? 5 : 0;
}

static void a_key_that_cannot_be_locked_is_not_used(void **state)
{
    int status = 0;
    (void)state;
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) _exit(load_without_lockable_memory());
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
}

static void a_key_of_another_user_is_refused(void **state)
{
    folder *f = *state;
    lay_down(f, LINE_A, 0600);
    if (geteuid() != 0) { /* nobody but root can give a file away, or be given one */
        assert_int_equal(chown(f->file, 65534, (gid_t)-1), -1);
        return;
    }
    assert_int_equal(chown(f->file, 65534, getegid()), 0);
    assert_int_equal(load(f), WB_ERR_CONFIG);
    assert_int_equal(chown(f->file, 0, getegid()), 0);
    assert_int_equal(chown(f->keys, 65534, getegid()), 0);
    assert_int_equal(load(f), WB_ERR_CONFIG);
}

enum { THREADS = 8, ROUNDS = 200 };

static void *sign_many(void *arg)
{
    wb_key_ring *ring = arg;
    size_t bad = 0;
    for (int i = 0; i < ROUNDS; i++) {
        uint8_t sig[WB_SIG_BYTES];
        wb_slice message = wb_slice_of(&i, sizeof i);
        if (wb_key_ring_sign(ring, message, sig) != WB_OK ||
            !wb_ed25519_verify(sig, message, wb_key_ring_public(ring)))
            bad++;
    }
    return (void *)bad;
}

static void many_threads_sign_at_once(void **state)
{
    folder *f = *state;
    pthread_t threads[THREADS];
    WB_AUTO(wb_key_ring) ring = NULL;
    assert_int_equal(wb_key_ring_open_or_new(f->keys, &ring, NULL, NULL), WB_OK);
    for (size_t i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, sign_many, ring), 0);
    for (size_t i = 0; i < THREADS; i++) {
        void *bad = NULL;
        assert_int_equal(pthread_join(threads[i], &bad), 0);
        assert_null(bad);
    }
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, folder_up, folder_down)
    const struct CMUnitTest tests[] = {
        TEST(a_file_that_is_no_key_is_refused),
        TEST(a_file_open_to_others_is_refused),
        TEST(a_folder_open_to_others_is_refused),
        TEST(what_is_no_plain_file_of_ours_is_refused),
        TEST(a_mounted_secret_is_loaded_through_its_links),
        TEST(a_swap_of_mounted_secrets_shows_at_the_next_opening),
        TEST(no_ring_is_half_of_one_generation_and_half_of_another),
        TEST(a_key_for_a_group_that_is_not_ours_is_refused),
        TEST(a_ring_knows_its_keys_by_role_and_window),
        TEST(a_key_in_two_places_counts_where_it_comes_first),
        TEST(a_faulty_next_or_retired_key_is_refused),
        TEST(more_retired_keys_than_a_trust_file_takes_are_refused),
        TEST(a_folder_with_a_similar_name_is_outside),
        TEST(a_new_key_is_closed_to_others_and_never_overwrites),
        TEST(the_first_start_makes_a_key_and_the_next_finds_it),
        TEST(a_faulty_key_is_never_replaced),
        TEST(two_new_keys_differ),
        TEST(the_seed_gives_the_published_key),
        TEST(a_seed_handed_over_is_wiped),
        TEST(a_key_that_cannot_be_locked_is_not_used),
        TEST(a_key_of_another_user_is_refused),
        TEST(many_threads_sign_at_once),
    };
    return cmocka_run_group_tests_name("keyring", tests, NULL, NULL);
}
