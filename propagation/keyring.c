/* SPDX-License-Identifier: Apache-2.0 */
/* The only place where a secret key is ever in memory, and for 20 microseconds at a time.
 *
 * File  keys/current.key, one line: "waybill-sk-v1:" kid ":" b64url(seed) LF. The kid repeats what the
 *       seed implies, so that a damaged or mixed-up file is noticed and a person can tell keys apart.
 * Made  under another name (O_EXCL, O_NOFOLLOW, 0600), synced, then renamed without replacing: after a
 *       crash there is no current.key or a whole one (files.c).
 * Load  looks at the *opened* descriptor, never at the name: regular, one link, ours or root's, nothing
 *       for others. A symbolic link is followed only if the descriptor's real path lies below the real
 *       keys directory: mounted secrets are laid out so (current.key -> ..data/current.key). The
 *       folder that really holds it must not be writable by others, nor any above it unless sticky.
 * Held  in sodium_malloc memory: guard pages, locked (checked here, since sodium_malloc hides a failed
 *       lock), left out of core dumps, no access at all between uses. Signing opens the pages for the
 *       first of several concurrent signers and closes them behind the last; a mutex guards the count,
 *       not the signing. */
#include "propagation/keyring.h"

#include "core/files.h"
#include "core/ids.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <limits.h>
#include <pthread.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define KEY_FILE "current.key"
#define KEY_PREFIX "waybill-sk-v1:"

enum {
    LINE_LEN = sizeof KEY_PREFIX - 1 + WB_HASH_B64 + 1 + WB_B64URL_LEN(WB_SEED_BYTES),
};

struct wb_key_ring {
    uint8_t public[WB_KEY_BYTES];
    char kid[WB_HASH_B64 + 1];
    pthread_mutex_t lock; /* guards `signers` and the pages' protection */
    unsigned signers;
    uint8_t *secret; /* crypto_sign_SECRETKEYBYTES, owned: sodium_malloc */
};

wb_status wb_key_ring_from_seed(uint8_t seed[WB_SEED_BYTES], wb_key_ring **out, wb_error *err)
{
    WB_AUTO(wb_key_ring) ring = calloc(1, sizeof *ring);
    if (!ring) {
        sodium_memzero(seed, WB_SEED_BYTES);
        return wb_fail(err, WB_ERR_NO_MEMORY, "no memory for the key ring");
    }
    (void)pthread_mutex_init(&ring->lock, NULL);
    ring->secret = sodium_malloc(crypto_sign_SECRETKEYBYTES);
    if (ring->secret && sodium_mlock(ring->secret, crypto_sign_SECRETKEYBYTES) == 0)
        (void)crypto_sign_seed_keypair(ring->public, ring->secret, seed);
    else if (ring->secret)
        sodium_free(WB_STEAL(ring->secret));
    sodium_memzero(seed, WB_SEED_BYTES);
    if (!ring->secret || sodium_mprotect_noaccess(ring->secret) != 0)
        return wb_fail_errno(err, WB_ERR_UNAVAILABLE, errno,
                             "the secret key's memory cannot be locked (ulimit -l)");
    wb_ed25519_kid(ring->public, ring->kid);
    *out = WB_STEAL(ring);
    return WB_OK;
}

void wb_key_ring_free(wb_key_ring *ring)
{
    if (!ring) return;
    if (ring->secret) sodium_free(ring->secret); /* wipes; opens the pages by itself */
    (void)pthread_mutex_destroy(&ring->lock);
    free(ring);
}

const char *wb_key_ring_kid(const wb_key_ring *ring) { return ring->kid; }
const uint8_t *wb_key_ring_public(const wb_key_ring *ring) { return ring->public; }

static bool begin_use(wb_key_ring *ring)
{
    (void)pthread_mutex_lock(&ring->lock);
    bool open = ring->signers > 0 || sodium_mprotect_readonly(ring->secret) == 0;
    if (open) ring->signers++;
    (void)pthread_mutex_unlock(&ring->lock);
    return open;
}

static void end_use(wb_key_ring *ring)
{
    (void)pthread_mutex_lock(&ring->lock);
    if (--ring->signers == 0) (void)sodium_mprotect_noaccess(ring->secret);
    (void)pthread_mutex_unlock(&ring->lock);
}

wb_status wb_key_ring_sign(wb_key_ring *ring, wb_slice message, uint8_t sig[WB_SIG_BYTES])
{
    if (!begin_use(ring)) return WB_ERR_UNAVAILABLE;
    (void)crypto_sign_detached(sig, NULL, message.ptr, message.len, ring->secret);
    end_use(ring);
    return WB_OK;
}

/* Every folder above `path`, which is absolute and free of links: `path` is cut on the way. */
static wb_status check_way(char *path, wb_error *err)
{
    for (char *slash = strrchr(path, '/'); slash; slash = strrchr(path, '/')) {
        struct stat st;
        *slash = '\0';
        const char *folder = slash == path ? "/" : path;
        if (stat(folder, &st) != 0) return wb_fail_errno(err, WB_ERR_CONFIG, errno, "%s", folder);
        if ((st.st_mode & S_IWOTH) != 0 && (st.st_mode & S_ISVTX) == 0)
            return wb_fail(err, WB_ERR_CONFIG, "%s: others may write there", folder);
    }
    return WB_OK;
}

/* What the descriptor really points to lies below `dir`, in a folder as closed as `dir`. */
static wb_status check_place(const char *dir, int fd, wb_error *err)
{
    char proc[32], path[PATH_MAX], real[PATH_MAX];
    (void)snprintf(proc, sizeof proc, "/proc/self/fd/%d", fd);
    ssize_t len = readlink(proc, path, sizeof path - 1);
    if (len <= 0 || !realpath(dir, real))
        return wb_fail_errno(err, WB_ERR_CONFIG, errno, "%s cannot be resolved", dir);
    path[len] = '\0';
    size_t base = strlen(real);
    if (strncmp(path, real, base) != 0 || path[base] != '/')
        return wb_fail(err, WB_ERR_CONFIG, "%s/" KEY_FILE " points outside its directory", dir);
    char folder[PATH_MAX];
    memcpy(folder, path, (size_t)len + 1);
    *strrchr(folder, '/') = '\0';
    WB_TRY(wb_folder_check(folder, err));
    return check_way(path, err);
}

/* TOKENS section 13: nothing for others, at most reading for a group that is ours. */
static wb_status check_file(const char *dir, int fd, wb_error *err)
{
    struct stat st;
    if (fstat(fd, &st) != 0) return wb_fail_errno(err, WB_ERR_CONFIG, errno, "%s/" KEY_FILE, dir);
    if (!S_ISREG(st.st_mode) || st.st_nlink != 1)
        return wb_fail(err, WB_ERR_CONFIG, "%s/" KEY_FILE " is not a regular file with one link",
                       dir);
    if (!wb_owned_by_us(&st))
        return wb_fail(err, WB_ERR_CONFIG, "%s/" KEY_FILE " belongs to user %u", dir, st.st_uid);
    bool our_group = st.st_gid == getegid() || group_member(st.st_gid) != 0;
    bool group_ok =
        (st.st_mode & S_IRWXG) == 0 || ((st.st_mode & (S_IWGRP | S_IXGRP)) == 0 && our_group);
    if ((st.st_mode & S_IRWXO) != 0 || !group_ok)
        return wb_fail(err, WB_ERR_CONFIG, "%s/" KEY_FILE " is open to others: mode %o (chmod 600)",
                       dir, st.st_mode & 07777u);
    return check_place(dir, fd, err);
}

/* `line` is LINE_LEN characters; leaves the seed and checks that the kid is the seed's. */
static bool parse_line(const char *line, uint8_t seed[WB_SEED_BYTES])
{
    const char *kid = line + sizeof KEY_PREFIX - 1;
    const char *text = kid + WB_HASH_B64 + 1;
    uint8_t public[WB_KEY_BYTES], secret[crypto_sign_SECRETKEYBYTES];
    char implied[WB_HASH_B64 + 1];
    if (memcmp(line, KEY_PREFIX, sizeof KEY_PREFIX - 1) != 0 || kid[WB_HASH_B64] != ':')
        return false;
    if (wb_b64url_parse_exact(wb_slice_of(text, WB_B64URL_LEN(WB_SEED_BYTES)), seed,
                              WB_SEED_BYTES) != WB_OK)
        return false;
    (void)crypto_sign_seed_keypair(public, secret, seed);
    sodium_memzero(secret, sizeof secret);
    wb_ed25519_kid(public, implied);
    return memcmp(kid, implied, WB_HASH_B64) == 0;
}

static wb_status read_seed(const char *dir, int fd, uint8_t seed[WB_SEED_BYTES], wb_error *err)
{
    char line[LINE_LEN + 2]; /* a line feed, and one byte that must not be there */
    size_t len = 0;
    wb_status status = wb_file_read(fd, line, sizeof line, &len);
    bool whole = len == LINE_LEN || (len == LINE_LEN + 1 && line[LINE_LEN] == '\n');
    bool good = status == WB_OK && whole && parse_line(line, seed);
    sodium_memzero(line, sizeof line);
    if (good) return WB_OK;
    sodium_memzero(seed, WB_SEED_BYTES);
    return wb_fail(err, WB_ERR_CONFIG, "%s/" KEY_FILE " is not a key whose id fits", dir);
}

wb_status wb_key_ring_open(const char *dir, wb_key_ring **out, wb_error *err)
{
    char path[PATH_MAX];
    uint8_t seed[WB_SEED_BYTES];
    WB_TRY(wb_folder_check(dir, err));
    if ((size_t)snprintf(path, sizeof path, "%s/" KEY_FILE, dir) >= sizeof path)
        return wb_fail(err, WB_ERR_CONFIG, "the key directory's name is too long");
    /* O_NONBLOCK: a FIFO in its place must not hang the start. */
    WB_AUTO_FD fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    if (fd < 0)
        return wb_fail_errno(err, errno == ENOENT ? WB_ERR_NOT_FOUND : WB_ERR_CONFIG, errno, "%s",
                             path);
    WB_TRY(check_file(dir, fd, err));
    WB_TRY(read_seed(dir, fd, seed, err));
    return wb_key_ring_from_seed(seed, out, err);
}

wb_status wb_key_new(const char *dir, wb_error *err)
{
    char line[LINE_LEN + 2], kid[WB_HASH_B64 + 1], text[WB_B64URL_LEN(WB_SEED_BYTES) + 1];
    uint8_t seed[WB_SEED_BYTES], public[WB_KEY_BYTES], secret[crypto_sign_SECRETKEYBYTES];
    WB_TRY(wb_folder_make(dir, err));
    wb_random(seed, sizeof seed);
    (void)crypto_sign_seed_keypair(public, secret, seed);
    wb_ed25519_kid(public, kid);
    wb_b64url_format(wb_slice_of(seed, sizeof seed), text);
    (void)snprintf(line, sizeof line, KEY_PREFIX "%s:%s\n", kid, text);
    wb_status status =
        wb_file_put(dir, KEY_FILE, wb_slice_of(line, LINE_LEN + 1), 0600, false, err);
    sodium_memzero(seed, sizeof seed);
    sodium_memzero(secret, sizeof secret);
    sodium_memzero(text, sizeof text);
    sodium_memzero(line, sizeof line);
    return status;
}

wb_status wb_key_ring_open_or_new(const char *dir, wb_key_ring **out, bool *made, wb_error *err)
{
    bool made_one = false;
    wb_status status = wb_key_ring_open(dir, out, err);
    if (status == WB_ERR_NOT_FOUND) {
        status = wb_key_new(dir, err);
        made_one = status == WB_OK;
        /* REJECTED: somebody else was faster, which is as good. */
        if (made_one || status == WB_ERR_REJECTED) status = wb_key_ring_open(dir, out, err);
    }
    if (status == WB_OK && made) *made = made_one;
    return status;
}
