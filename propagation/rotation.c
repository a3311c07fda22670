/* SPDX-License-Identifier: Apache-2.0 */
/* A key signs only after its public half was published for twice the refresh hint, so that whoever asks
 * for our keys as often as we ask to has seen it. The steps, each durable before the next begins:
 *
 *     make      next.key is written                           a ring with current and next
 *     promote   1  retired/<old kid>.pub is written           the old key stands in both places, and
 *                                                             counts as current; as before
 *               2  next.key is renamed over current.key       the new key signs; the old one's public
 *                                                             half is kept, its secret half is gone
 *     withdraw  1  retired/<next kid>.pub is written          counts as next still
 *               2  next.key is removed                        retired
 *
 * So a crash between two steps leaves a ring in which at most one key stands twice, where the keyring's
 * order (current, next, retired) decides; running the command again repeats the first step, with the
 * time of now, and goes on. There is no moment without a current key, and none in which a key that
 * signed is not known to its own agent. Two commands at once take turns by a lock on the directory. */
#include "propagation/rotation.h"

#include "core/files.h"
#include "propagation/laid_file.h"
#include "propagation/retired.h"
#include "propagation/token.h"

_Static_assert(WB_KEY_OVERLAP_S == WB_EXP_MAX_S + WB_SKEW_MAX_S, "the longest life and skew");

static const wb_ring_key *find_role(const wb_key_ring *ring, wb_key_role role)
{
    for (size_t i = 0; wb_key_ring_at(ring, i); i++)
        if (wb_key_ring_at(ring, i)->role == role) return wb_key_ring_at(ring, i);
    return NULL;
}

static size_t count_retired(const wb_key_ring *ring)
{
    size_t n = 0;
    for (size_t i = 0; wb_key_ring_at(ring, i); i++)
        n += wb_key_ring_at(ring, i)->role == WB_KEY_RETIRED;
    return n;
}

static wb_status need_room(const wb_key_ring *ring, wb_error *err)
{
    if (count_retired(ring) < WB_RETIRED_MAX) return WB_OK;
    return wb_fail(err, WB_ERR_FULL, "%d keys are retired already", WB_RETIRED_MAX);
}

/* ---- rotate --------------------------------------------------------------------------------- */

static wb_status make_next(const char *dir, wb_rotation *out, wb_error *err)
{
    WB_AUTO(wb_key_ring) ring = NULL;
    WB_TRY(wb_key_new_next(dir, err));
    WB_TRY(wb_key_ring_open(dir, &ring, err));
    const wb_ring_key *next = find_role(ring, WB_KEY_NEXT);
    if (!next) return wb_fail(err, WB_ERR_CONFIG, "the new key is gone again");
    out->step = WB_ROTATION_MADE_NEXT;
    memcpy(out->next_kid, next->key.kid, sizeof out->next_kid);
    out->ready_s = next->made_s + WB_KEY_PUBLISHED_S;
    return WB_OK;
}

static wb_status promote(const char *dir, const wb_key_ring *ring, const wb_ring_key *next,
                         uint64_t now_s, wb_rotation *out, wb_error *err)
{
    wb_trust_key old = wb_key_ring_at(ring, 0)->key;
    old.exp = now_s + WB_KEY_OVERLAP_S;
    WB_TRY(wb_laid_file_check_no_link(dir, WB_KEY_CURRENT_FILE, err));
    WB_TRY(wb_laid_file_check_no_link(dir, WB_KEY_NEXT_FILE, err));
    WB_TRY(need_room(ring, err));
    WB_TRY(wb_retired_put(dir, &old, err));
    WB_TRY(wb_file_rename(dir, WB_KEY_NEXT_FILE, WB_KEY_CURRENT_FILE, err));
    out->step = WB_ROTATION_PROMOTED;
    memcpy(out->retired_kid, old.kid, sizeof out->retired_kid);
    memcpy(out->current_kid, next->key.kid, sizeof out->current_kid);
    out->next_kid[0] = '\0';
    out->retired_exp_s = old.exp;
    return WB_OK;
}

static wb_status rotate(const char *dir, uint64_t now_s, bool force, wb_rotation *out,
                        wb_error *err)
{
    WB_AUTO(wb_key_ring) ring = NULL;
    WB_TRY(wb_key_ring_open(dir, &ring, err));
    memcpy(out->current_kid, wb_key_ring_kid(ring), sizeof out->current_kid);
    const wb_ring_key *next = find_role(ring, WB_KEY_NEXT);
    if (!next) {
        WB_TRY(make_next(dir, out, err));
        return force ? rotate(dir, now_s, force, out, err) : WB_OK;
    }
    memcpy(out->next_kid, next->key.kid, sizeof out->next_kid);
    out->ready_s = next->made_s + WB_KEY_PUBLISHED_S;
    out->step = WB_ROTATION_TOO_EARLY;
    /* A clock that went back makes it wait, not sign early. */
    if (!force && now_s < out->ready_s) return WB_OK;
    return promote(dir, ring, next, now_s, out, err);
}

wb_status wb_key_rotate(const char *dir, uint64_t now_s, bool force, wb_rotation *out,
                        wb_error *err)
{
    wb_rotation result = {0};
    int locked = -1;
    WB_TRY(wb_folder_lock(dir, &locked, err));
    WB_AUTO_FD lock = locked;
    (void)lock;
    wb_status status = rotate(dir, now_s, force, &result, err);
    if (status == WB_OK) *out = result;
    return status;
}

/* ---- retire --------------------------------------------------------------------------------- */

static wb_status retire(const char *dir, const wb_key_ring *ring, const wb_ring_key *found,
                        uint64_t now_s, bool drop, wb_error *err)
{
    wb_trust_key key = found->key;
    if (found->role == WB_KEY_CURRENT)
        return wb_fail(err, WB_ERR_REJECTED, "it is the key that signs");
    if (found->role == WB_KEY_NEXT && drop) return wb_file_drop(dir, WB_KEY_NEXT_FILE, err);
    if (drop) return wb_retired_drop(dir, key.kid, err);
    if (key.exp > now_s) key.exp = now_s;
    if (found->role == WB_KEY_RETIRED) return wb_retired_put(dir, &key, err);
    WB_TRY(need_room(ring, err));
    WB_TRY(wb_retired_put(dir, &key, err));
    return wb_file_drop(dir, WB_KEY_NEXT_FILE, err);
}

wb_status wb_key_retire(const char *dir, const char *kid, uint64_t now_s, bool drop,
                        wb_key_role *was, wb_error *err)
{
    WB_AUTO(wb_key_ring) ring = NULL;
    int locked = -1;
    WB_TRY(wb_folder_lock(dir, &locked, err));
    WB_AUTO_FD lock = locked;
    (void)lock;
    WB_TRY(wb_key_ring_open(dir, &ring, err));
    const wb_ring_key *found = wb_key_ring_find(ring, wb_slice_str(kid));
    if (!found) return wb_fail(err, WB_ERR_NOT_FOUND, "there is no such key in %s", dir);
    wb_key_role role = found->role;
    wb_status status = retire(dir, ring, found, now_s, drop, err);
    if (status == WB_OK) *was = role;
    return status;
}
