/* SPDX-License-Identifier: Apache-2.0 */
#include "core/file_ops.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

static const wb_file_ops *const ops = &wb_real_disk;

typedef struct folder {
    char path[64];
    int dir;
} folder;

static int make_folder(void **state)
{
    folder *f = calloc(1, sizeof *f);
    if (!f) return -1;
    (void)snprintf(f->path, sizeof f->path, "/tmp/waybill-file-ops-XXXXXX");
    if (!mkdtemp(f->path)) return -1;
    f->dir = ops->open_dir(ops, f->path);
    *state = f;
    return f->dir < 0 ? -1 : 0;
}

static int remove_name(void *arg, const char *name)
{
    const folder *f = arg;
    return unlinkat(f->dir, name, 0) == 0 || unlinkat(f->dir, name, AT_REMOVEDIR) == 0 ? 0 : -errno;
}

static int remove_folder(void **state)
{
    folder *f = *state;
    int rv = ops->list(ops, f->dir, remove_name, f);
    ops->close(ops, f->dir);
    if (rmdir(f->path) != 0) rv = -1;
    free(f);
    return rv;
}

static void opening_refuses_what_is_not_as_asked(void **state)
{
    const folder *f = *state;
    assert_int_equal(ops->open(ops, f->dir, "none", WB_FILE_READ), -ENOENT);
    assert_int_equal(ops->open(ops, f->dir, "none", WB_FILE_WRITE), -ENOENT);
    int file = ops->open(ops, f->dir, "there", WB_FILE_CREATE);
    assert_true(file >= 0);
    assert_int_equal(ops->open(ops, f->dir, "there", WB_FILE_CREATE), -EEXIST);
    ops->close(ops, file);
}

static void links_pipes_and_directories_are_no_files(void **state)
{
    const folder *f = *state;
    assert_int_equal(symlinkat("/etc/passwd", f->dir, "link"), 0);
    assert_int_equal(mkfifoat(f->dir, "pipe", 0600), 0);
    assert_int_equal(mkdirat(f->dir, "folder", 0700), 0);
    assert_int_equal(ops->open(ops, f->dir, "link", WB_FILE_READ), -ELOOP);
    assert_int_equal(ops->open(ops, f->dir, "link", WB_FILE_ENSURE), -ELOOP);
    assert_int_equal(ops->open(ops, f->dir, "pipe", WB_FILE_READ), -EISDIR); /* and does not hang */
    assert_int_equal(ops->open(ops, f->dir, "folder", WB_FILE_READ), -EISDIR);
    assert_int_equal(ops->open(ops, f->dir, "folder", WB_FILE_WRITE), -EISDIR);
}

static void a_directory_that_cannot_be_is_refused(void **state)
{
    const folder *f = *state;
    char path[96];
    (void)snprintf(path, sizeof path, "%s/no/where", f->path);
    assert_int_equal(ops->open_dir(ops, path), -ENOENT);
    int file = ops->open(ops, f->dir, "file", WB_FILE_CREATE);
    assert_true(file >= 0);
    ops->close(ops, file);
    (void)snprintf(path, sizeof path, "%s/file", f->path);
    assert_int_equal(ops->open_dir(ops, path), -ENOTDIR);
}

static mode_t mode_of(const folder *f, const char *name)
{
    struct stat st;
    assert_int_equal(fstatat(f->dir, name, &st, AT_SYMLINK_NOFOLLOW), 0);
    return st.st_mode & 07777;
}

static void what_is_made_is_for_the_owner_alone_and_not_inherited(void **state)
{
    const folder *f = *state;
    char path[96];
    mode_t before = umask(0);
    (void)snprintf(path, sizeof path, "%s/below", f->path);
    int dir = ops->open_dir(ops, path);
    int file = ops->open(ops, f->dir, "made", WB_FILE_ENSURE);
    (void)umask(before);
    assert_true(dir >= 0 && file >= 0);
    assert_int_equal(mode_of(f, "below"), 0700);
    assert_int_equal(mode_of(f, "made"), 0600);
    assert_true(fcntl(dir, F_GETFD) & FD_CLOEXEC);
    assert_true(fcntl(file, F_GETFD) & FD_CLOEXEC);
    ops->close(ops, dir);
    ops->close(ops, file);
}

static void bytes_come_back_and_reading_stops_at_the_end(void **state)
{
    const folder *f = *state;
    char out[8] = "";
    size_t got = 99;
    uint64_t size = 0;
    int file = ops->open(ops, f->dir, "data", WB_FILE_CREATE);
    assert_int_equal(ops->write_at(ops, file, "56789", 5, 5), 0);
    assert_int_equal(ops->write_at(ops, file, "01234", 5, 0), 0);
    assert_int_equal(ops->sync_file(ops, file, "test"), 0);
    assert_int_equal(ops->sync_dir(ops, f->dir, "test"), 0);
    assert_int_equal(ops->size(ops, file, &size), 0);
    assert_int_equal(size, 10);
    assert_int_equal(ops->read_at(ops, file, out, 4, 3, &got), 0);
    assert_int_equal(got, 4);
    assert_memory_equal(out, "3456", 4);
    assert_int_equal(ops->read_at(ops, file, out, 8, 7, &got), 0);
    assert_int_equal(got, 3);
    assert_int_equal(ops->read_at(ops, file, out, 8, 10, &got), 0);
    assert_int_equal(got, 0);
    ops->close(ops, file);
}

static void a_read_only_handle_refuses_to_write(void **state)
{
    const folder *f = *state;
    ops->close(ops, ops->open(ops, f->dir, "data", WB_FILE_CREATE));
    int file = ops->open(ops, f->dir, "data", WB_FILE_READ);
    assert_int_equal(ops->write_at(ops, file, "x", 1, 0), -EBADF);
    ops->close(ops, file);
}

static void set_aside_bytes_are_zeros_and_known_as_unwritten(void **state)
{
    const folder *f = *state;
    enum { BYTES = 1 << 20, FAR = 600000 };
    uint8_t *bytes = malloc(BYTES);
    size_t got = 0;
    uint64_t data = 0;
    assert_non_null(bytes);
    int file = ops->open(ops, f->dir, "data", WB_FILE_CREATE);
    assert_int_equal(ops->allocate(ops, file, BYTES), 0);
    assert_int_equal(ops->write_at(ops, file, "x", 1, FAR), 0);
    assert_int_equal(ops->next_data(ops, file, 0, &data), 0);
    assert_true(data <= FAR); /* no file system has to know; none may skip what was written */
    assert_int_equal(ops->next_data(ops, file, FAR, &data), 0);
    assert_int_equal(data, FAR);
    assert_int_equal(ops->read_at(ops, file, bytes, BYTES, 0, &got), 0);
    assert_int_equal(got, BYTES);
    for (size_t i = 0; i < BYTES; i++) assert_int_equal(bytes[i], i == FAR ? 'x' : 0);
    ops->close(ops, file);
    free(bytes);
}

static void zero_filling_gives_the_whole_size(void **state)
{
    const folder *f = *state;
    enum { BYTES = 1000000 }; /* no multiple of anything */
    uint64_t size = 0;
    struct stat st;
    int file = ops->open(ops, f->dir, "data", WB_FILE_CREATE);
    assert_int_equal(ops->zero_fill(ops, file, BYTES), 0);
    assert_int_equal(ops->size(ops, file, &size), 0);
    assert_int_equal(size, BYTES);
    assert_int_equal(fstat(file, &st), 0);
    assert_true((uint64_t)st.st_blocks * 512 >= BYTES); /* really written */
    ops->close(ops, file);
}

static void a_rename_replaces_and_a_removed_name_is_gone(void **state)
{
    const folder *f = *state;
    char out = 0;
    size_t got = 0;
    int a = ops->open(ops, f->dir, "a", WB_FILE_CREATE),
        b = ops->open(ops, f->dir, "b", WB_FILE_CREATE);
    assert_int_equal(ops->write_at(ops, a, "A", 1, 0), 0);
    assert_int_equal(ops->write_at(ops, b, "B", 1, 0), 0);
    ops->close(ops, a);
    ops->close(ops, b);
    assert_int_equal(ops->rename(ops, f->dir, "none", "b"), -ENOENT);
    assert_int_equal(ops->rename(ops, f->dir, "a", "b"), 0);
    b = ops->open(ops, f->dir, "b", WB_FILE_READ);
    assert_int_equal(ops->read_at(ops, b, &out, 1, 0, &got), 0);
    assert_int_equal(out, 'A');
    ops->close(ops, b);
    assert_int_equal(ops->remove(ops, f->dir, "b"), 0);
    assert_int_equal(ops->remove(ops, f->dir, "b"), -ENOENT);
}

static int count_name(void *arg, const char *name)
{
    size_t *n = arg;
    if (strcmp(name, "stop") == 0) return -ECANCELED;
    ++*n;
    return 0;
}

static void a_list_has_every_name_and_stops_when_told(void **state)
{
    const folder *f = *state;
    size_t n = 0;
    assert_int_equal(ops->list(ops, f->dir, count_name, &n), 0);
    assert_int_equal(n, 0);
    for (int i = 0; i < 40; i++) {
        char name[16];
        (void)snprintf(name, sizeof name, "file-%d", i);
        ops->close(ops, ops->open(ops, f->dir, name, WB_FILE_CREATE));
    }
    assert_int_equal(ops->list(ops, f->dir, count_name, &n), 0);
    assert_int_equal(n, 40);
    ops->close(ops, ops->open(ops, f->dir, "stop", WB_FILE_CREATE));
    assert_int_equal(ops->list(ops, f->dir, count_name, &n), -ECANCELED);
}

static void a_lock_keeps_others_out_until_it_is_closed(void **state)
{
    const folder *f = *state;
    int first = ops->open(ops, f->dir, "lock", WB_FILE_ENSURE);
    int second = ops->open(ops, f->dir, "lock", WB_FILE_ENSURE);
    assert_int_equal(ops->lock(ops, first), 0);
    assert_int_equal(ops->lock(ops, second), -EWOULDBLOCK);
    ops->close(ops, first);
    assert_int_equal(ops->lock(ops, second), 0);
    ops->close(ops, second);
}

#define IN_FOLDER(test) cmocka_unit_test_setup_teardown(test, make_folder, remove_folder)

int main(void)
{
    const struct CMUnitTest tests[] = {
        IN_FOLDER(opening_refuses_what_is_not_as_asked),
        IN_FOLDER(links_pipes_and_directories_are_no_files),
        IN_FOLDER(a_directory_that_cannot_be_is_refused),
        IN_FOLDER(a_read_only_handle_refuses_to_write),
        IN_FOLDER(what_is_made_is_for_the_owner_alone_and_not_inherited),
        IN_FOLDER(bytes_come_back_and_reading_stops_at_the_end),
        IN_FOLDER(set_aside_bytes_are_zeros_and_known_as_unwritten),
        IN_FOLDER(zero_filling_gives_the_whole_size),
        IN_FOLDER(a_rename_replaces_and_a_removed_name_is_gone),
        IN_FOLDER(a_list_has_every_name_and_stops_when_told),
        IN_FOLDER(a_lock_keeps_others_out_until_it_is_closed),
    };
    return cmocka_run_group_tests_name("file_ops", tests, NULL, NULL);
}
