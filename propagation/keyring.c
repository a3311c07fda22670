/* SPDX-License-Identifier: Apache-2.0 */
/* The only place where a secret key is ever in memory, and for 20 microseconds at a time.
 *
 * Files keys/current.key signs, keys/next.key will. One line: "waybill-sk-v1:" kid ":" b64url(seed) LF.
 *       The kid repeats what the seed implies, so that a damaged or mixed-up file is noticed and a
 *       person can tell keys apart. Public halves of former keys are in retired/ (retired.c).
 * Made  under another name (O_EXCL, O_NOFOLLOW, 0600), synced, then renamed without replacing: after a
 *       crash there is no such key or a whole one (core/files.c).
 * Load  looks at the *opened* descriptors (laid_file.c). Mounted files are swapped as a whole by turning
 *       one link, so the directory's generation is read before and after: a ring is never half of one
 *       generation and half of another. Of next.key the seed is read to learn its public half, and
 *       forgotten; it is held only once it signs.
 * Held  in sodium_malloc memory: guard pages, locked (checked here, since sodium_malloc hides a failed
 *       lock), left out of core dumps, no access at all between uses. What passes through while a file
 *       is read or made lies in such memory too, never on a stack. Signing opens the pages for the
 *       first of several concurrent signers and closes them behind the last; a mutex guards the count,
 *       not the signing. */
#include "propagation/keyring.h"

#include "core/ids.h"
#include "propagation/laid_file.h"
#include "propagation/retired.h"

#include <errno.h>
#include <pthread.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>

#define KEY_PREFIX "waybill-sk-v1:"

enum {
    LINE_LEN = sizeof KEY_PREFIX - 1 + WB_HASH_B64 + 1 + WB_B64URL_LEN(WB_SEED_BYTES),
    GENERATION_TRIES = 8, /* mounted secrets change about once a minute at most */
};

/* What passes through; only ever in locked memory. */
typedef struct passing {
    char line[LINE_LEN + 2]; /* a line feed, and one byte that must not be there */
    uint8_t seed[WB_SEED_BYTES];
    uint8_t secret[crypto_sign_SECRETKEYBYTES];
} passing;

struct wb_key_ring {
    wb_ring_key keys[WB_TRUST_KEYS_MAX]; /* the first is current */
    size_t n;
    uint64_t newest_s;
    pthread_mutex_t lock; /* guards `signers` and the pages' protection */
    unsigned signers;
    uint8_t *secret; /* crypto_sign_SECRETKEYBYTES, owned: sodium_malloc */
};

/* ---- memory --------------------------------------------------------------------------------- */

/* Locked memory, or NULL. sodium_malloc locks by itself but does not say whether it could. */
static void *locked_new(size_t size)
{
    void *memory = sodium_malloc(size);
    if (!memory || sodium_mlock(memory, size) == 0) return memory;
    int why = errno;
    sodium_free(memory);
    errno = why;
    return NULL;
}

static wb_status not_locked(wb_error *err)
{
    return wb_fail_errno(err, WB_ERR_UNAVAILABLE, errno,
                         "the secret key's memory cannot be locked (ulimit -l)");
}

static void passing_free(passing *p)
{
    if (p) sodium_free(p); /* wipes */
}
WB_DEFINE_AUTO(passing)

static wb_status ring_new(wb_key_ring **out, wb_error *err)
{
    WB_AUTO(wb_key_ring) ring = calloc(1, sizeof *ring);
    if (!ring) return wb_fail(err, WB_ERR_NO_MEMORY, "no memory for the key ring");
    (void)pthread_mutex_init(&ring->lock, NULL);
    ring->secret = locked_new(crypto_sign_SECRETKEYBYTES);
    if (!ring->secret) return not_locked(err);
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

/* ---- signing -------------------------------------------------------------------------------- */

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

/* ---- facts ---------------------------------------------------------------------------------- */

const char *wb_key_ring_kid(const wb_key_ring *ring) { return ring->keys[0].key.kid; }
const uint8_t *wb_key_ring_public(const wb_key_ring *ring) { return ring->keys[0].key.x; }
uint64_t wb_key_ring_sequence(const wb_key_ring *ring) { return ring->newest_s; }

const wb_ring_key *wb_key_ring_at(const wb_key_ring *ring, size_t i)
{
    return i < ring->n ? &ring->keys[i] : NULL;
}

const wb_ring_key *wb_key_ring_find(const wb_key_ring *ring, wb_slice kid)
{
    for (size_t i = 0; i < ring->n; i++)
        if (wb_slice_eq(wb_slice_str(ring->keys[i].key.kid), kid)) return &ring->keys[i];
    return NULL;
}

void wb_key_ring_publish(const wb_key_ring *ring, wb_slice id, wb_trust_key keys[WB_TRUST_KEYS_MAX],
                         wb_trust_issuer *out)
{
    for (size_t i = 0; i < ring->n; i++) keys[i] = ring->keys[i].key;
    *out = (wb_trust_issuer){.id = id, .sequence = ring->newest_s, .keys = keys, .n_keys = ring->n};
}

const char *wb_key_role_name(wb_key_role role)
{
    static const char *const names[] = {"current", "next", "retired"};
    return (size_t)role < WB_COUNT(names) ? names[role] : "";
}

/* ---- loading -------------------------------------------------------------------------------- */

/* Take in a key unless it is there; there is room, since files are limited in number. */
static void ring_add(wb_key_ring *ring, const wb_trust_key *key, wb_key_role role, uint64_t made_s)
{
    if (wb_key_ring_find(ring, wb_slice_str(key->kid))) return;
    ring->keys[ring->n++] = (wb_ring_key){.key = *key, .role = role, .made_s = made_s};
}

/* Both halves of p->seed. */
static void expand(passing *p, wb_trust_key *key)
{
    *key = (wb_trust_key){.exp = UINT64_MAX};
    (void)crypto_sign_seed_keypair(key->x, p->secret, p->seed);
    wb_ed25519_kid(key->x, key->kid);
}

/* The secret half of `p` is the ring's from now on, and closed. */
static bool seal(wb_key_ring *ring, const passing *p)
{
    if (sodium_mprotect_readwrite(ring->secret) != 0) return false;
    memcpy(ring->secret, p->secret, sizeof p->secret);
    return sodium_mprotect_noaccess(ring->secret) == 0;
}

static wb_status ring_of_seed(const uint8_t *seed, wb_key_ring **out, wb_error *err)
{
    wb_trust_key key;
    WB_AUTO(wb_key_ring) ring = NULL;
    WB_TRY(ring_new(&ring, err));
    WB_AUTO(passing) p = locked_new(sizeof *p);
    if (!p) return not_locked(err);
    memcpy(p->seed, seed, sizeof p->seed);
    expand(p, &key);
    if (!seal(ring, p)) return not_locked(err);
    ring_add(ring, &key, WB_KEY_CURRENT, 0);
    *out = WB_STEAL(ring);
    return WB_OK;
}

wb_status wb_key_ring_from_seed(uint8_t seed[WB_SEED_BYTES], wb_key_ring **out, wb_error *err)
{
    wb_status status = ring_of_seed(seed, out, err);
    sodium_memzero(seed, WB_SEED_BYTES);
    return status;
}

/* p->line is LINE_LEN characters; fills in the rest of `p`, and `key`. */
static bool parse_line(passing *p, wb_trust_key *key)
{
    const char *kid = p->line + sizeof KEY_PREFIX - 1;
    const char *text = kid + WB_HASH_B64 + 1;
    if (memcmp(p->line, KEY_PREFIX, sizeof KEY_PREFIX - 1) != 0 || kid[WB_HASH_B64] != ':')
        return false;
    if (wb_b64url_parse_exact(wb_slice_of(text, WB_B64URL_LEN(WB_SEED_BYTES)), p->seed,
                              WB_SEED_BYTES) != WB_OK)
        return false;
    expand(p, key);
    return memcmp(kid, key->kid, WB_HASH_B64) == 0;
}

/* `len` bytes are in p->line. */
static bool parse_whole(passing *p, size_t len, wb_trust_key *key)
{
    bool whole = len == LINE_LEN || (len == LINE_LEN + 1 && p->line[LINE_LEN] == '\n');
    return whole && parse_line(p, key);
}

/* One of the two key files: its key joins the ring, its secret half stays in `p`. */
static wb_status load_secret(const char *dir, const char *name, wb_key_role role, passing *p,
                             wb_key_ring *ring, wb_error *err)
{
    struct stat st;
    wb_trust_key key;
    int opened = -1;
    size_t len = 0;
    WB_TRY(wb_laid_file_open(dir, name, WB_LAID_SECRET, &opened, &st, err));
    WB_AUTO_FD fd = opened;
    wb_status status = wb_file_read(fd, p->line, sizeof p->line, &len);
    if (status != WB_OK || !parse_whole(p, len, &key))
        return wb_fail(err, WB_ERR_CONFIG, "%s/%s is not a key whose id fits", dir, name);
    uint64_t made_s = st.st_mtim.tv_sec > 0 ? (uint64_t)st.st_mtim.tv_sec : 0;
    if (made_s > ring->newest_s) ring->newest_s = made_s;
    ring_add(ring, &key, role, made_s);
    return WB_OK;
}

static wb_status load_retired(const char *dir, wb_key_ring *ring, wb_error *err)
{
    size_t n = 0;
    wb_trust_key *keys = calloc(WB_RETIRED_MAX, sizeof *keys);
    if (!keys) return wb_fail(err, WB_ERR_NO_MEMORY, "no memory for the key ring");
    wb_status status = wb_retired_load(dir, keys, &n, &ring->newest_s, err);
    for (size_t i = 0; status == WB_OK && i < n; i++) ring_add(ring, &keys[i], WB_KEY_RETIRED, 0);
    free(keys);
    return status;
}

static wb_status load(const char *dir, wb_key_ring *ring, wb_error *err)
{
    struct stat st;
    WB_AUTO(passing) p = locked_new(sizeof *p);
    if (!p) return not_locked(err);
    ring->n = 0;
    ring->newest_s = 0;
    WB_TRY(load_secret(dir, WB_KEY_CURRENT_FILE, WB_KEY_CURRENT, p, ring, err));
    if (!seal(ring, p)) return not_locked(err);
    wb_status status = load_secret(dir, WB_KEY_NEXT_FILE, WB_KEY_NEXT, p, ring, err);
    if (status != WB_OK && status != WB_ERR_NOT_FOUND) return status;
    if (stat(dir, &st) == 0 && (uint64_t)st.st_mtim.tv_sec > ring->newest_s)
        ring->newest_s = (uint64_t)st.st_mtim.tv_sec;
    return load_retired(dir, ring, err);
}

wb_status wb_key_ring_open(const char *dir, wb_key_ring **out, wb_error *err)
{
    WB_AUTO(wb_key_ring) ring = NULL;
    WB_TRY(ring_new(&ring, err));
    for (int i = 0; i < GENERATION_TRIES; i++) {
        uint64_t before = wb_laid_generation(dir);
        wb_status status = load(dir, ring, err);
        if (before != wb_laid_generation(dir)) continue;
        if (status == WB_OK) *out = WB_STEAL(ring);
        return status;
    }
    return wb_fail(err, WB_ERR_UNAVAILABLE, "%s changes all the time", dir);
}

/* ---- making --------------------------------------------------------------------------------- */

static wb_status make(const char *dir, const char *name, wb_error *err)
{
    wb_trust_key key;
    WB_TRY(wb_folder_make(dir, err));
    WB_AUTO(passing) p = locked_new(sizeof *p);
    if (!p) return not_locked(err);
    wb_random(p->seed, sizeof p->seed);
    expand(p, &key);
    (void)snprintf(p->line, sizeof p->line, KEY_PREFIX "%s:", key.kid);
    wb_b64url_format(wb_slice_of(p->seed, sizeof p->seed),
                     p->line + LINE_LEN - WB_B64URL_LEN(WB_SEED_BYTES));
    p->line[LINE_LEN] = '\n';
    return wb_file_put(dir, name, wb_slice_of(p->line, LINE_LEN + 1), 0600, false, err);
}

wb_status wb_key_new(const char *dir, wb_error *err) { return make(dir, WB_KEY_CURRENT_FILE, err); }
wb_status wb_key_new_next(const char *dir, wb_error *err)
{
    return make(dir, WB_KEY_NEXT_FILE, err);
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
        if (status == WB_ERR_NOT_FOUND)
            status = wb_fail(err, WB_ERR_CONFIG, "%.100s/current.key is a link to nothing", dir);
    }
    if (status == WB_OK && made) *made = made_one;
    return status;
}
