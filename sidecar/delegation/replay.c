/* SPDX-License-Identifier: Apache-2.0 */
/* Rows by SHA-256 over issuer and jti, so that a key has one size whatever a peer wrote. Beside the
 * rows stand two numbers that only rise: the highest exp ever purged and the time of the last gap. A
 * snapshot's last slice holds them (tag 'n', two little-endian u64), the others hold rows (tag 'r'). */
#include "sidecar/delegation/replay.h"

#include "core/clock.h"
#include "proto/waybill/v1/journal.pb-c.h"
#include "sidecar/delegation/purge.h"
#include "sidecar/delegation/row_table.h"

#include <errno.h>
#include <sodium.h>
#include <stdlib.h>

enum { KEY_BYTES = crypto_hash_sha256_BYTES };

typedef struct hot_part {
    uint64_t exp_s;
    wb_id acceptance;
    uint8_t hash[WB_REPLAY_HASH_BYTES];
} hot_part;

struct wb_replay {
    wb_row_table *rows;
    uint64_t purged_exp_s, recovered_s;
};

wb_replay *wb_replay_new(uint32_t max_rows)
{
    wb_replay *r = calloc(1, sizeof *r);
    if (!r) return NULL;
    r->rows = wb_row_table_new(KEY_BYTES, sizeof(hot_part), max_rows);
    if (r->rows) return r;
    free(r);
    return NULL;
}

void wb_replay_free(wb_replay *r)
{
    if (!r) return;
    wb_row_table_free(r->rows);
    free(r);
}

static void key_of(wb_slice issuer, wb_slice jti, uint8_t key[KEY_BYTES])
{
    crypto_hash_sha256_state hash;
    crypto_hash_sha256_init(&hash);
    crypto_hash_sha256_update(&hash, issuer.ptr, issuer.len);
    crypto_hash_sha256_update(&hash, (const uint8_t *)"",
                              1); /* ids hold no NUL: a safe separator */
    crypto_hash_sha256_update(&hash, jti.ptr, jti.len);
    crypto_hash_sha256_final(&hash, key);
}

static wb_status put(wb_replay *r, const Waybill__V1__ReplayRow *row, wb_slice packed,
                     wb_error *err)
{
    uint8_t key[KEY_BYTES];
    void *found;
    if (row->token_hash.len != WB_REPLAY_HASH_BYTES || row->acceptance_id.len != sizeof(wb_id))
        return wb_fail(err, WB_ERR_CORRUPT, "replay row with a hash of %zu bytes",
                       row->token_hash.len);
    key_of(wb_slice_str(row->issuer), wb_slice_str(row->jti), key);
    wb_status status = wb_row_put(r->rows, key, packed, &found);
    if (status != WB_OK) return wb_fail(err, status, "no room for a replay row");
    hot_part *hot = found;
    hot->exp_s = row->exp_s;
    memcpy(hot->acceptance.b, row->acceptance_id.data, sizeof hot->acceptance.b);
    memcpy(hot->hash, row->token_hash.data, sizeof hot->hash);
    return WB_OK;
}

static wb_status apply_row(void *self, wb_slice packed, wb_error *err)
{
    errno = 0;
    Waybill__V1__ReplayRow *row = waybill__v1__replay_row__unpack(NULL, packed.len, packed.ptr);
    if (!row) return wb_row_unreadable("replay row", packed.len, err);
    wb_status status = put(self, row, packed, err);
    waybill__v1__replay_row__free_unpacked(row, NULL);
    return status;
}

static bool has_ended(const hot_part *hot, uint64_t now_s, uint64_t skew_s)
{
    return now_s >= hot->exp_s + skew_s; /* TOKENS.md section 11: kept until now >= exp + skew */
}

/* As a purge meets a row: say whether it goes, and note the highest exp that went. */
typedef struct purge_walk {
    wb_purge purge;
    uint64_t highest_exp_s;
} purge_walk;

static bool goes(const void *row_hot, void *arg)
{
    const hot_part *hot = row_hot;
    purge_walk *walk = arg;
    if (!has_ended(hot, walk->purge.now_s, walk->purge.skew_s)) return false;
    if (hot->exp_s > walk->highest_exp_s) walk->highest_exp_s = hot->exp_s;
    return true;
}

static wb_status apply_purge(wb_replay *r, wb_slice packed, wb_error *err)
{
    purge_walk walk = {.highest_exp_s = r->purged_exp_s};
    WB_TRY(wb_purge_unpack(packed, &walk.purge, err));
    wb_row_purge(r->rows, goes, &walk);
    r->purged_exp_s = walk.highest_exp_s;
    return WB_OK;
}

static wb_status apply_gap(wb_replay *r, wb_slice packed, wb_error *err)
{
    errno = 0;
    Waybill__V1__GapRow *gap = waybill__v1__gap_row__unpack(NULL, packed.len, packed.ptr);
    if (!gap) return wb_row_unreadable("gap entry", packed.len, err);
    if (gap->recovered_s > r->recovered_s) r->recovered_s = gap->recovered_s;
    waybill__v1__gap_row__free_unpacked(gap, NULL);
    return WB_OK;
}

static wb_status apply(void *self, const wb_entry *entry, wb_error *err)
{
    if (entry->kind == WB_ENTRY_PURGE) return apply_purge(self, entry->payload, err);
    if (entry->kind == WB_ENTRY_GAP) return apply_gap(self, entry->payload, err);
    return apply_row(self, entry->payload, err);
}

/* *resume_at is 1 + slot; the numbers come last, so that a purge between two slices, whose rows are in
 * no slice any more, is in them. */
static wb_status snapshot(void *self, wb_buffer *out, size_t *resume_at)
{
    wb_replay *r = self;
    size_t slot = *resume_at ? *resume_at - 1 : 0;
    if (slot < wb_row_slots(r->rows)) {
        WB_TRY(wb_buffer_add(out, "r", 1));
        WB_TRY(wb_row_snapshot(r->rows, out, &slot));
        *resume_at = 1 + (slot ? slot : wb_row_slots(r->rows));
        return WB_OK;
    }
    const uint64_t numbers[2] = {r->purged_exp_s, r->recovered_s};
    *resume_at = 0;
    WB_TRY(wb_buffer_add(out, "n", 1));
    return wb_buffer_add(out, numbers, sizeof numbers);
}

static wb_status load(void *self, wb_slice slice, wb_error *err)
{
    wb_replay *r = self;
    uint64_t numbers[2];
    if (slice.len == 1 + sizeof numbers && slice.ptr[0] == 'n') {
        memcpy(numbers, slice.ptr + 1, sizeof numbers);
        if (numbers[0] > r->purged_exp_s) r->purged_exp_s = numbers[0];
        if (numbers[1] > r->recovered_s) r->recovered_s = numbers[1];
        return WB_OK;
    }
    if (slice.len < 1 || slice.ptr[0] != 'r')
        return wb_fail(err, WB_ERR_CORRUPT, "replay snapshot slice without a tag");
    return wb_row_load(wb_slice_of(slice.ptr + 1, slice.len - 1), apply_row, r, err);
}

static void reset(void *self)
{
    wb_replay *r = self;
    wb_row_table_reset(r->rows);
    r->purged_exp_s = r->recovered_s = 0;
}

const wb_state_ops wb_replay_ops = {
    .name = "replay",
    .kinds = WB_KIND_BIT(WB_ENTRY_REPLAY) | WB_KIND_BIT(WB_ENTRY_PURGE) | WB_KIND_BIT(WB_ENTRY_GAP),
    .apply = apply,
    .snapshot = snapshot,
    .load = load,
    .reset = reset,
};

bool wb_replay_find(const wb_replay *r, wb_slice issuer, wb_slice jti,
                    uint8_t hash[WB_REPLAY_HASH_BYTES], wb_id *acceptance)
{
    uint8_t key[KEY_BYTES];
    void *found;
    key_of(issuer, jti, key);
    if (!wb_row_get(r->rows, key, NULL, &found)) return false;
    const hot_part *hot = found;
    memcpy(hash, hot->hash, sizeof hot->hash);
    *acceptance = hot->acceptance;
    return true;
}

uint32_t wb_replay_room(const wb_replay *r) { return wb_row_room(r->rows); }
uint32_t wb_replay_count(const wb_replay *r) { return wb_row_count(r->rows); }
uint64_t wb_replay_purged_exp_s(const wb_replay *r) { return r->purged_exp_s; }
uint64_t wb_replay_recovered_s(const wb_replay *r) { return r->recovered_s; }

bool wb_replay_has_ended(const wb_replay *r, uint64_t now_s, uint64_t skew_s)
{
    for (uint32_t slot = 0; slot < wb_row_slots(r->rows); slot++) {
        void *hot;
        if (wb_row_at(r->rows, slot, NULL, NULL, &hot) && has_ended(hot, now_s, skew_s))
            return true;
    }
    return false;
}
