/* SPDX-License-Identifier: Apache-2.0 */
/* Changing what is believed, one issuer at a time: <hash of its id>.json is read, changed and written
 * anew, under a lock on the directory, so that two commands at once both count. An issuer that stands in
 * a bundle file is left alone: a second file for it would make both count for nothing; and so is one that
 * stands in two, which no change of one file would make right. */
#include "core/files.h"
#include "propagation/laid_file.h"
#include "propagation/token.h"
#include "propagation/trust_file.h"

static wb_status no_memory(wb_error *err)
{
    return wb_fail(err, WB_ERR_NO_MEMORY, "no memory for a trust file");
}

/* The directory while one issuer of it is changed. */
typedef struct edit {
    const char *dir;
    char name[WB_TRUST_NAME_LEN + 1];
    wb_arena *arena; /* owned */
    wb_trust_issuer issuer;
    bool present;
    int lock; /* owned */
} edit;

static void edit_free(edit *e)
{
    wb_arena_free(e->arena);
    wb_close_at(&e->lock);
}
#define AUTO_EDIT __attribute__((cleanup(edit_free))) edit

/* Fails if the issuer stands in another file than its own, or in two. */
static wb_status check_bundles(const edit *e, wb_error *err)
{
    WB_AUTO(wb_trust) trust = NULL;
    const char *files[2];
    WB_TRY(wb_trust_load(e->dir, NULL, &trust, err));
    if (wb_trust_twice(trust, e->issuer.id, files))
        return wb_fail(err, WB_ERR_CONFIG,
                       "the issuer stands in %.48s and in %.48s, so neither counts: take it out of "
                       "one",
                       files[0], files[1]);
    const char *file = wb_trust_file_of(trust, e->issuer.id);
    if (!file || strcmp(file, e->name) == 0) return WB_OK;
    return wb_fail(err, WB_ERR_CONFIG, "the issuer stands in %.80s: change it there", file);
}

/* What the issuer's own file says now. */
static wb_status read_present(edit *e, wb_error *err)
{
    WB_AUTO_BUFFER text;
    wb_trust_text found = {0};
    wb_buffer_init(&text, WB_TRUST_FILE_MAX_BYTES + 1);
    wb_status status =
        wb_laid_file_get(e->dir, e->name, WB_LAID_PUBLIC, WB_TRUST_FILE_MAX_BYTES, &text, err);
    if (status == WB_ERR_NOT_FOUND) return WB_OK;
    WB_TRY(status);
    status = wb_trust_file_parse(wb_buffer_slice(&text), e->arena, e->arena, &found, err);
    if (status == WB_ERR_MALFORMED)
        return wb_fail(err, WB_ERR_CONFIG, "%.60s/%s is faulty", e->dir, e->name);
    WB_TRY(status);
    if (found.is_bundle || !wb_slice_eq(found.issuers[0].id, e->issuer.id))
        return wb_fail(err, WB_ERR_CONFIG, "%.60s/%s is another issuer's", e->dir, e->name);
    e->issuer = found.issuers[0];
    e->present = true;
    return WB_OK;
}

/* `e` is zeroed but for its lock, -1; `id` lives longer. */
static wb_status edit_begin(edit *e, const char *dir, wb_slice id, wb_error *err)
{
    e->dir = dir;
    e->issuer = (wb_trust_issuer){.id = id};
    wb_trust_file_name(id, e->name);
    e->arena = wb_arena_new(2 * WB_TRUST_SCRATCH_BYTES);
    if (!e->arena) return no_memory(err);
    WB_TRY(wb_folder_lock(dir, &e->lock, err));
    return wb_laid_file_check_no_link(dir, e->name, err);
}

/* A window in which no second lies: nothing could ever be signed in it. */
static wb_status check_windows(const wb_trust_key *keys, size_t n, wb_error *err)
{
    for (size_t i = 0; i < n; i++)
        if (keys[i].nbf >= keys[i].exp)
            return wb_fail(err, WB_ERR_MALFORMED,
                           "key %s could never sign: it begins at %llu and ends at %llu",
                           keys[i].kid, (unsigned long long)keys[i].nbf,
                           (unsigned long long)keys[i].exp);
    return WB_OK;
}

static wb_status edit_write(const edit *e, const wb_trust_issuer *issuer, wb_error *err)
{
    WB_AUTO_BUFFER text;
    wb_buffer_init(&text, WB_TRUST_FILE_MAX_BYTES);
    if (wb_trust_file_format(issuer, &text) != WB_OK || wb_buffer_add(&text, "\n", 1) != WB_OK)
        return wb_fail(err, WB_ERR_FULL, "the file would be larger than 64 KiB");
    return wb_file_put(e->dir, e->name, wb_buffer_slice(&text), 0644, true, err);
}

/* ---- add ------------------------------------------------------------------------------------ */

/* `keys` gets the issuer's keys with `key` among them. */
static wb_status join_key(const wb_trust_issuer *issuer, const wb_trust_key *key,
                          wb_trust_key keys[WB_TRUST_KEYS_MAX], size_t *n, wb_error *err)
{
    const wb_trust_key *had = wb_trust_key_find(issuer, wb_slice_str(key->kid));
    size_t at = had ? (size_t)(had - issuer->keys) : issuer->n_keys;
    if (issuer->n_keys > 0) memcpy(keys, issuer->keys, issuer->n_keys * sizeof *keys);
    if (had && had->nbf == key->nbf && had->exp == key->exp)
        return wb_fail(err, WB_ERR_REJECTED, "the issuer has this key already");
    if (at == WB_TRUST_KEYS_MAX) return wb_fail(err, WB_ERR_FULL, "the issuer has 64 keys already");
    keys[at] = *key;
    *n = issuer->n_keys + (had ? 0 : 1);
    return WB_OK;
}

wb_status wb_trust_add(const char *dir, wb_slice agent_id, const wb_trust_key *key, wb_error *err)
{
    wb_trust_key keys[WB_TRUST_KEYS_MAX], named = *key;
    AUTO_EDIT e = {.lock = -1};
    if (!wb_agent_id_ok(agent_id)) return wb_fail(err, WB_ERR_MALFORMED, "not an agent id");
    if (!wb_ed25519_point_ok(key->x))
        return wb_fail(err, WB_ERR_MALFORMED, "x is not a point of the prime-order subgroup");
    wb_ed25519_kid(key->x, named.kid);
    WB_TRY(check_windows(&named, 1, err));
    WB_TRY(wb_folder_make(dir, err));
    WB_TRY(edit_begin(&e, dir, agent_id, err));
    WB_TRY(check_bundles(&e, err));
    WB_TRY(read_present(&e, err));
    wb_trust_issuer issuer = e.issuer;
    WB_TRY(join_key(&e.issuer, &named, keys, &issuer.n_keys, err));
    issuer.keys = keys;
    return edit_write(&e, &issuer, err);
}

/* ---- put, remove ---------------------------------------------------------------------------- */

wb_status wb_trust_put(const char *dir, const wb_trust_issuer *issuer, wb_error *err)
{
    AUTO_EDIT e = {.lock = -1};
    if (!wb_agent_id_ok(issuer->id)) return wb_fail(err, WB_ERR_MALFORMED, "not an agent id");
    WB_TRY(check_windows(issuer->keys, issuer->n_keys, err));
    WB_TRY(wb_folder_make(dir, err));
    WB_TRY(edit_begin(&e, dir, issuer->id, err));
    WB_TRY(check_bundles(&e, err));
    WB_TRY(read_present(&e, err));
    if (e.present && issuer->sequence < e.issuer.sequence)
        return wb_fail(err, WB_ERR_REJECTED,
                       "it is older than what is believed: spiffe_sequence %llu, not %llu",
                       (unsigned long long)issuer->sequence, (unsigned long long)e.issuer.sequence);
    return edit_write(&e, issuer, err);
}

static wb_status remove_key(edit *e, wb_slice kid, wb_error *err)
{
    wb_trust_key keys[WB_TRUST_KEYS_MAX];
    WB_TRY(read_present(e, err));
    wb_trust_issuer issuer = e->issuer;
    issuer.keys = keys;
    issuer.n_keys = 0;
    for (size_t i = 0; i < e->issuer.n_keys; i++)
        if (!wb_slice_eq(wb_slice_str(e->issuer.keys[i].kid), kid))
            keys[issuer.n_keys++] = e->issuer.keys[i];
    if (issuer.n_keys == e->issuer.n_keys)
        return wb_fail(err, WB_ERR_NOT_FOUND, "the issuer has no such key");
    return edit_write(e, &issuer, err);
}

wb_status wb_trust_remove(const char *dir, wb_slice agent_id, wb_slice kid, wb_error *err)
{
    AUTO_EDIT e = {.lock = -1};
    WB_TRY(edit_begin(&e, dir, agent_id, err));
    WB_TRY(check_bundles(&e, err));
    if (kid.len > 0) return remove_key(&e, kid, err);
    wb_status status = wb_file_drop(dir, e.name, err);
    if (status != WB_ERR_NOT_FOUND) return status;
    return wb_fail(err, WB_ERR_NOT_FOUND, "nobody of that id is trusted");
}
