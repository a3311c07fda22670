/* SPDX-License-Identifier: Apache-2.0 */
/* The key's file: what is refused, what is made, what mounted secrets look like; and that many threads
 * may sign at once while the key's pages are closed in between. */
#include "propagation/keyring.h"

#include "propagation/token.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <pthread.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
/* cmocka wants the four above first */
#include <cmocka.h>

/* The seed 00 .. 1f of TOKENS section 19. */
#define KID "1IG2tMH7J2wbJZnOf8LJzQitKf7LMvoAElsuDMVM54Y"
#define SEED "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8"
#define LINE "waybill-sk-v1:" KID ":" SEED

typedef struct folder {
    char root[64], keys[80], file[96];
} folder;

static int up(void **state)
{
    folder *f = calloc(1, sizeof *f);
    *state = f;
    if (!f || wb_self_test(NULL) != WB_OK) return -1;
    (void)snprintf(f->root, sizeof f->root, "/tmp/wb_keyring_XXXXXX");
    if (!mkdtemp(f->root)) return -1;
    (void)snprintf(f->keys, sizeof f->keys, "%s/keys", f->root);
    (void)snprintf(f->file, sizeof f->file, "%s/current.key", f->keys);
    return 0;
}

static int remove_one(const char *path, const struct stat *st, int kind, struct FTW *at)
{
    (void)st;
    (void)kind;
    (void)at;
    return remove(path);
}

static int down(void **state)
{
    folder *f = *state;
    int rc = nftw(f->root, remove_one, 8, /* NOLINT(concurrency-mt-unsafe): one thread */
                  FTW_DEPTH | FTW_PHYS);
    free(f);
    return rc;
}

static void write_file(const char *path, const char *text, mode_t mode)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, strlen(text)), strlen(text));
    assert_int_equal(fchmod(fd, mode), 0);
    assert_int_equal(close(fd), 0);
}

static void lay_down(folder *f, const char *text, mode_t mode)
{
    if (mkdir(f->keys, 0700) != 0) assert_int_equal(errno, EEXIST);
    write_file(f->file, text, mode);
}

static wb_status load(folder *f)
{
    wb_error err = {0};
    WB_AUTO(wb_key_ring) ring = NULL;
    wb_status st = wb_key_ring_open(f->keys, &ring, &err);
    assert_true((st == WB_OK) == (ring != NULL));
    if (st != WB_OK) {
        assert_int_equal(err.status, st);
        assert_null(strstr(err.detail, SEED)); /* nothing of a file's content in a log */
    }
    return st;
}

static void a_file_that_is_no_key_is_refused(void **state)
{
    static const char *const cases[] = {
        "",
        "\n",
        "waybill-sk-v1:",
        "waybill-sk-v2:" KID ":" SEED,
        "waybill-pk-v1:" KID ":" SEED,
        "waybill-sk-v1:AkXIZFzonb59ZmGwyKgi3H3BwMi6amevqdKQiLZhdtc:" SEED,
        "waybill-sk-v1:" KID ":AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh9",
        "waybill-sk-v1:" KID ":AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh",
        LINE " ",
        LINE "\r\n",
        LINE "\n\n",
        LINE LINE,
        " " LINE,
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
        lay_down(f, LINE "\n", 0600);
        assert_int_equal(chmod(f->file, cases[i].mode), 0);
        if (load(f) != cases[i].expected) fail_msg("mode %o", cases[i].mode);
        assert_int_equal(chmod(f->file, 0600), 0);
    }
}

static void a_folder_open_to_others_is_refused(void **state)
{
    folder *f = *state;
    lay_down(f, LINE, 0600);
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
    lay_down(f, LINE, 0600);
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
    write_file(path, LINE, 0400);
    (void)snprintf(path, sizeof path, "%s/..data", f->keys);
    assert_int_equal(symlink("..2026_01_01", path), 0);
    assert_int_equal(symlink("..data/current.key", f->file), 0);
    assert_int_equal(load(f), WB_OK);
    (void)snprintf(path, sizeof path, "%s/..2026_01_01", f->keys);
    assert_int_equal(chmod(path, 0777), 0);
    assert_int_equal(load(f), WB_ERR_CONFIG);
}

static void a_folder_with_a_similar_name_is_outside(void **state)
{
    folder *f = *state;
    char path[160];
    (void)snprintf(path, sizeof path, "%s2", f->keys);
    assert_int_equal(mkdir(path, 0700), 0);
    (void)snprintf(path, sizeof path, "%s2/current.key", f->keys);
    write_file(path, LINE, 0600);
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
    lay_down(f, LINE "\n", 0600);
    assert_int_equal(wb_key_ring_open(f->keys, &ring, NULL), WB_OK);
    assert_string_equal(wb_key_ring_kid(ring), KID);
    wb_b64url_format(wb_slice_of(wb_key_ring_public(ring), WB_KEY_BYTES), x);
    assert_string_equal(x, "A6EHv_POEL4dcN0Y50vAmWfk1jCbpQ1fHdyGZBJVMbg");
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
    lay_down(f, LINE, 0600);
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
#define TEST(name) cmocka_unit_test_setup_teardown(name, up, down)
    const struct CMUnitTest tests[] = {
        TEST(a_file_that_is_no_key_is_refused),
        TEST(a_file_open_to_others_is_refused),
        TEST(a_folder_open_to_others_is_refused),
        TEST(what_is_no_plain_file_of_ours_is_refused),
        TEST(a_mounted_secret_is_loaded_through_its_links),
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
