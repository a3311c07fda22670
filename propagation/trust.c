/* SPDX-License-Identifier: Apache-2.0 */
/* The trust directory, read in one go into a sorted table that never changes. A reload builds the next
 * table beside the present one and takes over from that whatever the files now fail to say: a file with
 * a fault, a sequence that fell and an issuer named twice leave the keys of before in force, so a bad
 * edit can neither widen nor empty what is believed. At the first load there is no before, and such an
 * issuer is unknown.
 *
 *     <b64url(SHA-256(agent id))>.json   one issuer, whose id hashes to the name
 *     *.bundle.json                      many
 *
 * Each entry remembers the file that it came from, for that is what a broken file's issuers are known
 * by. Mounted files are swapped as a whole by turning one link, so the directory's generation is read
 * before and after (laid_file.h). The table is sorted by id; looking up is a binary search, and never
 * crosses issuers. */
#include "propagation/trust.h"

#include "propagation/laid_file.h"
#include "propagation/trust_file.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum {
    KEEP_LIMIT = 64 * 1024 * 1024,
    GENERATION_TRIES = 8, /* mounted files change about once a minute at most */
};

typedef struct entry {
    wb_trust_issuer issuer; /* id and keys live in the arena */
    const char *file;       /* in the arena */
} entry;

/* An issuer that two files name. */
typedef struct twice {
    wb_slice id; /* all of it lives in the arena */
    const char *files[2];
    struct twice *next;
} twice;

struct wb_trust {
    const char *dir; /* borrowed while it is being read */
    wb_arena *arena;
    entry *entries;
    size_t n, cap;
    twice *doubles;
    wb_trust_problem problem[WB_TRUST_PROBLEMS_MAX];
    size_t problems;
};

static wb_status no_memory(wb_error *err)
{
    return wb_fail(err, WB_ERR_NO_MEMORY, "no memory for the trust directory");
}

void wb_trust_free(wb_trust *trust)
{
    if (!trust) return;
    wb_arena_free(trust->arena);
    free(trust->entries);
    free(trust);
}

static wb_trust *trust_new(void)
{
    wb_trust *trust = calloc(1, sizeof *trust);
    if (trust) trust->arena = wb_arena_new(KEEP_LIMIT);
    if (trust && !trust->arena) {
        free(trust);
        return NULL;
    }
    return trust;
}

static void note(wb_trust *trust, const char *file, const char *reason, bool kept)
{
    if (trust->problems < WB_TRUST_PROBLEMS_MAX) {
        wb_trust_problem *p = &trust->problem[trust->problems];
        (void)snprintf(p->file, sizeof p->file, "%s", file);
        (void)snprintf(p->reason, sizeof p->reason, "%s", reason);
        p->kept = kept;
    }
    trust->problems++;
}

static wb_status push(wb_trust *trust, const wb_trust_issuer *issuer, const char *file,
                      wb_error *err)
{
    if (trust->n == WB_TRUST_ISSUERS_MAX)
        return wb_fail(err, WB_ERR_FULL, "more than %d issuers", WB_TRUST_ISSUERS_MAX);
    if (trust->n == trust->cap) {
        size_t cap = trust->cap ? trust->cap * 2 : 16;
        entry *grown = realloc(trust->entries, cap * sizeof *grown);
        if (!grown) return no_memory(err);
        trust->entries = grown;
        trust->cap = cap;
    }
    trust->entries[trust->n++] = (entry){*issuer, file};
    return WB_OK;
}

/* Copy an entry of the previous table into this one. */
static wb_status keep(wb_trust *trust, const entry *old, wb_error *err)
{
    wb_trust_issuer issuer = old->issuer;
    const char *file = wb_arena_printf(trust->arena, "%s", old->file);
    wb_trust_key *keys = wb_arena_array(trust->arena, issuer.n_keys, sizeof *keys);
    if (!file || !keys || wb_arena_dup(trust->arena, old->issuer.id, &issuer.id) != WB_OK)
        return no_memory(err);
    if (issuer.n_keys > 0) memcpy(keys, issuer.keys, issuer.n_keys * sizeof *keys);
    issuer.keys = keys;
    return push(trust, &issuer, file, err);
}

/* A file with a fault: its issuers keep what it said before. */
static wb_status leave_out(wb_trust *trust, const wb_trust *previous, const char *file,
                           const char *reason, wb_error *err)
{
    size_t n = trust->n;
    for (size_t i = 0; previous && i < previous->n; i++)
        if (strcmp(previous->entries[i].file, file) == 0)
            WB_TRY(keep(trust, &previous->entries[i], err));
    note(trust, file, reason, trust->n > n);
    return WB_OK;
}

static int compare_ids(wb_slice a, wb_slice b)
{
    size_t shorter = a.len < b.len ? a.len : b.len;
    int order = shorter ? memcmp(a.ptr, b.ptr, shorter) : 0;
    if (order != 0) return order;
    return (a.len > b.len) - (a.len < b.len);
}

static int compare_entries(const void *a, const void *b)
{
    return compare_ids(((const entry *)a)->issuer.id, ((const entry *)b)->issuer.id);
}

static void sort(wb_trust *trust)
{
    if (trust->n > 1) qsort(trust->entries, trust->n, sizeof *trust->entries, compare_entries);
}

static const entry *find(const wb_trust *trust, wb_slice id)
{
    size_t low = 0, high = trust ? trust->n : 0;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        int order = compare_ids(id, trust->entries[middle].issuer.id);
        if (order == 0) return &trust->entries[middle];
        if (order < 0)
            high = middle;
        else
            low = middle + 1;
    }
    return NULL;
}

static bool ends_with(const char *name, const char *end)
{
    size_t len = strlen(name), tail = strlen(end);
    return len >= tail && strcmp(name + len - tail, end) == 0;
}

/* One issuer as read from `file`, unless its sequence fell. */
static wb_status take_issuer(wb_trust *trust, const wb_trust *previous, const char *file,
                             const wb_trust_issuer *issuer, wb_error *err)
{
    const entry *old = find(previous, issuer->id);
    if (!old || issuer->sequence >= old->issuer.sequence) return push(trust, issuer, file, err);
    note(trust, file, "spiffe_sequence fell", true);
    return keep(trust, old, err);
}

static wb_status check_name(const char *file, const wb_trust_text *text, wb_error *why)
{
    char name[WB_TRUST_NAME_LEN + 1];
    bool says_bundle = ends_with(file, ".bundle.json");
    if (says_bundle != text->is_bundle)
        return wb_fail(why, WB_ERR_MALFORMED,
                       says_bundle ? "a bundle file has wb_bundles"
                                   : "wb_bundles belong into a file named *.bundle.json");
    if (says_bundle) return WB_OK;
    wb_trust_file_name(text->issuers[0].id, name);
    if (strcmp(name, file) == 0) return WB_OK;
    return wb_fail(why, WB_ERR_MALFORMED, "wb_iss does not hash to the file's name");
}

/* The text of one file; no name: it came from none. A fault in it is a problem noted, not an error
 * returned. */
static wb_status take_text(wb_trust *trust, const wb_trust *previous, const char *file,
                           wb_slice text, wb_arena *scratch, wb_error *err)
{
    wb_error why = {0};
    wb_trust_text parsed = {0};
    wb_arena_reset(scratch);
    wb_status status = wb_trust_file_parse(text, scratch, trust->arena, &parsed, &why);
    if (status == WB_ERR_NO_MEMORY) return no_memory(err);
    if (status == WB_OK && file[0]) status = check_name(file, &parsed, &why);
    if (status != WB_OK) return leave_out(trust, previous, file, why.detail, err);
    const char *kept_name = wb_arena_printf(trust->arena, "%s", file);
    if (!kept_name) return no_memory(err);
    for (size_t i = 0; i < parsed.n; i++)
        WB_TRY(take_issuer(trust, previous, kept_name, &parsed.issuers[i], err));
    return WB_OK;
}

static wb_status take_file(wb_trust *trust, const wb_trust *previous, const char *file,
                           wb_arena *scratch, wb_buffer *text, wb_error *err)
{
    wb_error why = {0};
    wb_status status =
        wb_laid_file_get(trust->dir, file, WB_LAID_PUBLIC, WB_TRUST_FILE_MAX_BYTES, text, &why);
    if (status == WB_ERR_NOT_FOUND) return WB_OK; /* taken away since it was listed */
    if (status == WB_ERR_NO_MEMORY) return no_memory(err);
    if (status == WB_OK)
        return take_text(trust, previous, file, wb_buffer_slice(text), scratch, err);
    return leave_out(trust, previous, file, why.detail, err);
}

static wb_status note_double(wb_trust *trust, const entry *one, const entry *other, bool kept,
                             wb_error *err)
{
    bool in_order = strcmp(one->file, other->file) <= 0;
    char reason[sizeof((wb_trust_problem *)0)->reason];
    twice *t = wb_arena_alloc(trust->arena, sizeof *t);
    if (!t) return no_memory(err);
    *t = (twice){.id = one->issuer.id,
                 .files = {in_order ? one->file : other->file, in_order ? other->file : one->file},
                 .next = trust->doubles};
    trust->doubles = t;
    (void)snprintf(reason, sizeof reason, "an issuer twice; neither counts: %.*s is in %.60s, too",
                   t->id.len > 48 ? 48 : (int)t->id.len, (const char *)t->id.ptr, t->files[1]);
    note(trust, t->files[0], reason, kept);
    return WB_OK;
}

/* Two entries for one issuer: neither counts, what counted before does. The table is sorted. */
static wb_status drop_doubles(wb_trust *trust, const wb_trust *previous, wb_error *err)
{
    size_t n = trust->n, out = 0;
    for (size_t i = 0, end; i < n; i = end) {
        end = i + 1;
        while (end < n && compare_entries(&trust->entries[i], &trust->entries[end]) == 0) end++;
        if (end - i == 1) {
            trust->entries[out++] = trust->entries[i];
            continue;
        }
        const entry *old = find(previous, trust->entries[i].issuer.id);
        WB_TRY(note_double(trust, &trust->entries[i], &trust->entries[i + 1], old != NULL, err));
        if (!old) continue;
        WB_TRY(keep(trust, old, err)); /* appended behind the ones still to be looked at */
        trust->entries[out++] = trust->entries[--trust->n];
    }
    trust->n = out;
    return WB_OK;
}

static wb_status read_directory(wb_trust *trust, const wb_trust *previous, DIR *dir, wb_error *err)
{
    WB_AUTO_BUFFER text;
    wb_buffer_init(&text, WB_TRUST_FILE_MAX_BYTES + 1);
    WB_AUTO(wb_arena) scratch = wb_arena_new(WB_TRUST_SCRATCH_BYTES);
    if (!scratch) return no_memory(err);
    for (;;) {
        errno = 0;
        const struct dirent *d = readdir(dir); /* NOLINT(concurrency-mt-unsafe): a DIR of our own */
        if (!d && errno != 0)
            return wb_fail_errno(err, WB_ERR_CONFIG, errno, "the trust directory cannot be read");
        if (!d) break;
        if (d->d_name[0] == '.' || !ends_with(d->d_name, ".json")) continue;
        WB_TRY(take_file(trust, previous, d->d_name, scratch, &text, err));
    }
    sort(trust);
    WB_TRY(drop_doubles(trust, previous, err));
    sort(trust);
    return WB_OK;
}

static wb_status read_folder(wb_trust *trust, const wb_trust *previous, const char *dir,
                             wb_error *err)
{
    wb_status status = wb_folder_check(dir, err);
    if (status == WB_ERR_NOT_FOUND) return WB_OK; /* nobody was laid down: nobody is believed */
    WB_TRY(status);
    DIR *stream = opendir(dir);
    if (!stream) return wb_fail_errno(err, WB_ERR_CONFIG, errno, "%s", dir);
    trust->dir = dir;
    status = read_directory(trust, previous, stream, err);
    (void)closedir(stream);
    trust->dir = NULL;
    return status;
}

/* Hands over a table that was filled, frees one that was not. */
static wb_status finish(wb_trust *trust, wb_status status, wb_trust **out)
{
    if (status == WB_OK)
        *out = trust;
    else
        wb_trust_free(trust);
    return status;
}

static wb_status load_once(const char *dir, const wb_trust *previous, wb_trust **out, wb_error *err)
{
    wb_trust *trust = trust_new();
    if (!trust) return no_memory(err);
    return finish(trust, read_folder(trust, previous, dir, err), out);
}

wb_status wb_trust_load(const char *dir, const wb_trust *previous, wb_trust **out, wb_error *err)
{
    for (int i = 0; i < GENERATION_TRIES; i++) {
        uint64_t before = wb_laid_generation(dir);
        wb_trust *trust = NULL;
        wb_status status = load_once(dir, previous, &trust, err);
        if (before != wb_laid_generation(dir)) {
            wb_trust_free(trust);
            continue;
        }
        if (status == WB_OK) *out = trust;
        return status;
    }
    return wb_fail(err, WB_ERR_UNAVAILABLE, "%s changes all the time", dir);
}

static wb_status take_texts(wb_trust *trust, const wb_slice *texts, size_t n, wb_error *err)
{
    WB_AUTO(wb_arena) scratch = wb_arena_new(WB_TRUST_SCRATCH_BYTES);
    if (!scratch) return no_memory(err);
    for (size_t i = 0; i < n; i++) WB_TRY(take_text(trust, NULL, "", texts[i], scratch, err));
    sort(trust);
    return drop_doubles(trust, NULL, err);
}

wb_status wb_trust_from_texts(const wb_slice *texts, size_t n, wb_trust **out, wb_error *err)
{
    wb_trust *trust = trust_new();
    if (!trust) return no_memory(err);
    return finish(trust, take_texts(trust, texts, n, err), out);
}

static wb_status read_text(wb_trust *trust, wb_slice text, wb_error *err)
{
    WB_AUTO(wb_arena) scratch = wb_arena_new(WB_TRUST_SCRATCH_BYTES);
    wb_trust_text parsed = {0};
    if (!scratch) return no_memory(err);
    WB_TRY(wb_trust_file_parse(text, scratch, trust->arena, &parsed, err));
    for (size_t i = 0; i < parsed.n; i++) WB_TRY(push(trust, &parsed.issuers[i], "", err));
    sort(trust);
    for (size_t i = 1; i < trust->n; i++)
        if (compare_entries(&trust->entries[i - 1], &trust->entries[i]) == 0)
            return wb_fail(err, WB_ERR_MALFORMED, "an issuer twice");
    return WB_OK;
}

wb_status wb_trust_parse(wb_slice text, wb_trust **out, wb_error *err)
{
    wb_trust *trust = trust_new();
    if (!trust) return no_memory(err);
    return finish(trust, read_text(trust, text, err), out);
}

const wb_trust_issuer *wb_trust_find(const wb_trust *trust, wb_slice issuer)
{
    const entry *found = find(trust, issuer);
    return found ? &found->issuer : NULL;
}

const char *wb_trust_file_of(const wb_trust *trust, wb_slice issuer)
{
    const entry *found = find(trust, issuer);
    return found ? found->file : NULL;
}

bool wb_trust_twice(const wb_trust *trust, wb_slice issuer, const char *files[2])
{
    for (const twice *t = trust ? trust->doubles : NULL; t; t = t->next) {
        if (!wb_slice_eq(t->id, issuer)) continue;
        files[0] = t->files[0];
        files[1] = t->files[1];
        return true;
    }
    return false;
}

const wb_trust_key *wb_trust_key_find(const wb_trust_issuer *issuer, wb_slice kid)
{
    for (size_t i = 0; i < issuer->n_keys; i++)
        if (wb_slice_eq(wb_slice_str(issuer->keys[i].kid), kid)) return &issuer->keys[i];
    return NULL;
}

const wb_trust_issuer *wb_trust_at(const wb_trust *trust, size_t i)
{
    return i < trust->n ? &trust->entries[i].issuer : NULL;
}

const wb_trust_problem *wb_trust_problem_at(const wb_trust *trust, size_t i)
{
    return i < trust->problems && i < WB_TRUST_PROBLEMS_MAX ? &trust->problem[i] : NULL;
}

size_t wb_trust_problems(const wb_trust *trust) { return trust->problems; }
