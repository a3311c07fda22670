/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/propagation/folder.h"

#include "propagation/ed25519.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <sys/stat.h>
#include <unistd.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
/* cmocka wants the four above first */
#include <cmocka.h>

enum { PATH_ROOM = 256 };

int folder_up(void **state)
{
    folder *f = calloc(1, sizeof *f);
    *state = f;
    if (!f || wb_self_test(NULL) != WB_OK) return -1;
    (void)snprintf(f->root, sizeof f->root, "/tmp/wb_folder_XXXXXX");
    if (!mkdtemp(f->root)) return -1;
    (void)snprintf(f->keys, sizeof f->keys, "%s/keys", f->root);
    (void)snprintf(f->file, sizeof f->file, "%s/current.key", f->keys);
    (void)snprintf(f->trust, sizeof f->trust, "%s/trust.d", f->root);
    return 0;
}

static int remove_one(const char *path, const struct stat *st, int kind, struct FTW *at)
{
    (void)st;
    (void)kind;
    (void)at;
    return remove(path);
}

void folder_remove(const char *path)
{
    int rc = nftw(path, remove_one, 8, /* NOLINT(concurrency-mt-unsafe): one thread */
                  FTW_DEPTH | FTW_PHYS);
    if (rc != 0) assert_int_equal(errno, ENOENT);
}

int folder_down(void **state)
{
    folder *f = *state;
    folder_remove(f->root);
    free(f);
    return 0;
}

void folder_write(const char *path, const char *text, mode_t mode)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, strlen(text)), strlen(text));
    assert_int_equal(fchmod(fd, mode), 0);
    assert_int_equal(close(fd), 0);
}

static void ensure(const char *dir)
{
    if (mkdir(dir, 0700) != 0) assert_int_equal(errno, EEXIST);
}

void folder_key(const folder *f, const char *name, const char *text, mode_t mode)
{
    char path[PATH_ROOM];
    const char *slash = strchr(name, '/');
    ensure(f->keys);
    if (slash) {
        (void)snprintf(path, sizeof path, "%s/%.*s", f->keys, (int)(slash - name), name);
        ensure(path);
    }
    (void)snprintf(path, sizeof path, "%s/%s", f->keys, name);
    folder_write(path, text, mode);
}

void folder_trust(const folder *f, const char *name, const char *text)
{
    char path[PATH_ROOM];
    ensure(f->trust);
    (void)snprintf(path, sizeof path, "%s/%s", f->trust, name);
    folder_write(path, text, 0644);
}

int folder_has_key(const folder *f, const char *name)
{
    char path[PATH_ROOM];
    (void)snprintf(path, sizeof path, "%s/%s", f->keys, name);
    return access(path, F_OK) == 0;
}
