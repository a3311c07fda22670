/* SPDX-License-Identifier: Apache-2.0 */
/* A world is four parts, each with a count of the worlds that hold it: a part that cannot be read anew
 * (a broken revoked.txt, a key file with the wrong mode) is shared with the world before. The present
 * world is one pointer under a mutex that is held for two instructions; the counts are atomic. The last
 * one to drop a world frees it, on whatever thread that is. */
#include "sidecar/world.h"

#include "sidecar/watch.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { CONFIG_ARENA_BYTES = 8 * 1024 * 1024 };

typedef struct part {
    atomic_uint refs;
    void *it;
    void (*free_it)(void *it);
} part;

enum { CONFIG, KEYS, TRUST, REVOKED, PARTS };
static const char *const part_names[PARTS] = {"config", "keys", "trust", "revoked"};

typedef struct loaded {
    wb_world face; /* first: callers have pointers to this */
    atomic_uint refs;
    part *parts[PARTS];
} loaded;

/* What a part of the configuration holds besides its arena. */
typedef struct fresh_config {
    wb_arena *arena;
    wb_sidecar_config values;
} fresh_config;

struct wb_worlds {
    wb_world_source source;
    pthread_mutex_t lock;      /* guards `now` */
    pthread_mutex_t reloading; /* one at a time; taken before `lock` */
    loaded *now;
};

static void part_drop(part *p)
{
    if (!p || atomic_fetch_sub(&p->refs, 1) > 1) return;
    p->free_it(p->it);
    free(p);
}

static void world_drop(loaded *w)
{
    if (!w || atomic_fetch_sub(&w->refs, 1) > 1) return;
    for (int i = 0; i < PARTS; i++) part_drop(w->parts[i]);
    free(w);
}

static void free_ring(void *it) { wb_key_ring_free(it); }
static void free_trust(void *it) { wb_trust_free(it); }
static void free_revoked(void *it) { wb_revoked_free(it); }

static void free_config(void *it)
{
    fresh_config *fresh = it;
    if (!fresh) return;
    wb_arena_free(fresh->arena);
    free(fresh);
}

/* ---- reading one part ---- */

static wb_status read_keys(const wb_worlds *w, const loaded *before, void **out, wb_error *err)
{
    wb_key_ring *ring = NULL;
    (void)before;
    WB_TRY(wb_key_ring_open(w->source.keys_dir, &ring, err));
    *out = ring;
    return WB_OK;
}

static wb_status read_trust(const wb_worlds *w, const loaded *before, void **out, wb_error *err)
{
    wb_trust *trust = NULL;
    WB_TRY(wb_trust_load(w->source.trust_dir, before ? before->face.trust : NULL, &trust, err));
    *out = trust;
    return WB_OK;
}

static wb_status read_revoked(const wb_worlds *w, const loaded *before, void **out, wb_error *err)
{
    wb_revoked *revoked = NULL;
    WB_TRY(wb_revoked_load(w->source.trust_dir, &revoked, err));
    if (before && wb_revoked_is_laid(before->face.revoked) && !wb_revoked_is_laid(revoked)) {
        wb_revoked_free(revoked);
        return wb_fail(err, WB_ERR_CONFIG,
                       "%.100s/" WB_REVOKED_FILE
                       " is gone: to lift all revocations lay down an empty file",
                       w->source.trust_dir);
    }
    *out = revoked;
    return WB_OK;
}

/* The first world has the configuration of the start, which is not ours to free. */
static wb_status read_config(const wb_worlds *w, const loaded *before, void **out, wb_error *err)
{
    fresh_config *fresh = NULL;
    *out = NULL;
    if (!before) return WB_OK;
    fresh = calloc(1, sizeof *fresh);
    if (!fresh || !(fresh->arena = wb_arena_new(CONFIG_ARENA_BYTES))) {
        free(fresh);
        return wb_fail(err, WB_ERR_NO_MEMORY, "configuration");
    }
    wb_status status = wb_sidecar_config_load(w->source.config_path, w->source.config->name,
                                              w->source.env, fresh->arena, &fresh->values, err);
    if (status == WB_ERR_NOT_FOUND)
        status = wb_fail(err, WB_ERR_CONFIG, "no such file: %s", w->source.config_path);
    if (status != WB_OK) {
        free_config(fresh);
        return status;
    }
    *out = fresh;
    return WB_OK;
}

typedef struct reader {
    wb_status (*read)(const wb_worlds *w, const loaded *before, void **out, wb_error *err);
    void (*free_it)(void *it);
} reader;
static const reader readers[PARTS] = {
    [CONFIG] = {read_config, free_config},
    [KEYS] = {read_keys, free_ring},
    [TRUST] = {read_trust, free_trust},
    [REVOKED] = {read_revoked, free_revoked},
};

/* ---- making a world ---- */

static void note(loaded *next, const char *where, const wb_error *error)
{
    if (next->face.n_problems < WB_WORLD_PROBLEMS_MAX)
        next->face.problems[next->face.n_problems++] =
            (wb_world_problem){.part = where, .error = *error};
}

static wb_status fill_part(const wb_worlds *w, const loaded *before, loaded *next, int which,
                           wb_error *err)
{
    wb_error why = {.status = WB_OK};
    part *p = calloc(1, sizeof *p);
    if (!p) return wb_fail(err, WB_ERR_NO_MEMORY, "part of a world");
    p->free_it = readers[which].free_it;
    atomic_init(&p->refs, 1);
    wb_status status = readers[which].read(w, before, &p->it, &why);
    if (status == WB_OK) {
        next->parts[which] = p;
        return WB_OK;
    }
    free(p);
    if (!before || status == WB_ERR_NO_MEMORY) {
        if (err) *err = why;
        return status;
    }
    note(next, part_names[which], &why);
    next->parts[which] = before->parts[which];
    atomic_fetch_add(&next->parts[which]->refs, 1);
    return WB_OK;
}

static void note_stale(void *self, const char *key)
{
    wb_world *face = self;
    if (face->n_stale < WB_WORLD_STALE_MAX) face->stale[face->n_stale] = key;
    face->n_stale++;
}

static wb_status join(const wb_worlds *w, const loaded *before, loaded *next, wb_error *err)
{
    const fresh_config *fresh = next->parts[CONFIG]->it;
    wb_world *face = &next->face;
    face->generation = before ? before->face.generation + 1 : 1;
    face->loaded_ns = wb_now(w->source.clock);
    face->ring = next->parts[KEYS]->it;
    face->trust = next->parts[TRUST]->it;
    face->revoked = next->parts[REVOKED]->it;
    face->config = *w->source.config;
    if (!fresh) return WB_OK;
    return wb_sidecar_config_renew(w->source.config, &fresh->values, &face->config, note_stale,
                                   face, err);
}

static uint64_t signature(const wb_worlds *w, bool *settled)
{
    wb_time_ns now = wb_now(w->source.clock);
    uint64_t keys = wb_watch_signature(w->source.keys_dir, now, settled);
    return (keys ^ (3 * wb_watch_signature(w->source.trust_dir, now, settled))) | 1; /* never 0 */
}

/* Of the files as they stand now; waits for the last change to be old enough to be told from the next. */
static uint64_t settled_signature(const wb_worlds *w)
{
    const struct timespec grain = {.tv_nsec = WB_WATCH_GRAIN_MS * (long)WB_NS_PER_MS};
    bool settled = true;
    uint64_t seen = signature(w, &settled);
    if (settled) return seen;
    (void)nanosleep(&grain, NULL);
    settled = true;
    seen = signature(w, &settled);
    return settled ? seen : 0; /* somebody goes on writing: look again */
}

static void read_besides(const wb_world_besides *besides, loaded *next)
{
    wb_error why = {.status = WB_OK};
    if (besides->part && besides->read(besides->self, &why) != WB_OK)
        note(next, besides->part, &why);
}

static wb_status make(const wb_worlds *w, const loaded *before, loaded **out, wb_error *err)
{
    loaded *next = calloc(1, sizeof *next);
    if (!next) return wb_fail(err, WB_ERR_NO_MEMORY, "a world");
    atomic_init(&next->refs, 1);
    next->face.seen = settled_signature(w); /* before reading: what comes later is seen later */
    wb_status status = WB_OK;
    for (int i = 0; i < PARTS && status == WB_OK; i++) status = fill_part(w, before, next, i, err);
    if (status == WB_OK) status = join(w, before, next, err);
    if (status != WB_OK) {
        world_drop(next);
        return status;
    }
    if (before) read_besides(&w->source.besides, next);
    *out = next;
    return WB_OK;
}

/* ---- public ---- */

wb_status wb_worlds_open(const wb_world_source *source, wb_worlds **out, wb_error *err)
{
    wb_worlds *w = calloc(1, sizeof *w);
    if (!w) return wb_fail(err, WB_ERR_NO_MEMORY, "worlds");
    w->source = *source;
    pthread_mutex_init(&w->lock, NULL);
    pthread_mutex_init(&w->reloading, NULL);
    wb_status status = make(w, NULL, &w->now, err);
    if (status != WB_OK) {
        wb_worlds_free(w);
        return status;
    }
    *out = w;
    return WB_OK;
}

void wb_worlds_free(wb_worlds *w)
{
    if (!w) return;
    world_drop(w->now);
    pthread_mutex_destroy(&w->lock);
    pthread_mutex_destroy(&w->reloading);
    free(w);
}

const wb_world *wb_world_take(wb_worlds *w)
{
    pthread_mutex_lock(&w->lock);
    loaded *now = w->now;
    atomic_fetch_add(&now->refs, 1);
    pthread_mutex_unlock(&w->lock);
    return &now->face;
}

void wb_world_drop(const wb_world *world)
{
    world_drop((loaded *)(void *)world); /* the first member of one that `make` allocated */
}

wb_status wb_worlds_reload(wb_worlds *w, wb_error *err)
{
    loaded *next = NULL;
    pthread_mutex_lock(&w->reloading);
    loaded *before = w->now; /* only a reload changes it */
    wb_status status = make(w, before, &next, err);
    if (status == WB_OK) {
        pthread_mutex_lock(&w->lock);
        w->now = next;
        pthread_mutex_unlock(&w->lock);
        world_drop(before);
    }
    pthread_mutex_unlock(&w->reloading);
    return status;
}

bool wb_worlds_are_stale(wb_worlds *w)
{
    bool ignored = true;
    const wb_world *now = wb_world_take(w);
    uint64_t seen = now->seen;
    wb_world_drop(now);
    return seen != signature(w, &ignored);
}

bool wb_world_may_heal(const wb_world *world)
{
    for (size_t i = 0; i < world->n_problems; i++)
        if (strcmp(world->problems[i].part, part_names[CONFIG]) != 0) return true;
    return wb_trust_problem_at(world->trust, 0) != NULL;
}

uint64_t wb_world_problems_hash(const wb_world *world)
{
    uint64_t hash = UINT64_C(0xcbf29ce484222325); /* FNV-1a */
    char text[WB_WORLD_PROBLEM_TEXT];
    for (size_t i = 0, n = wb_world_problems(world); i < n; i++) {
        wb_world_problem_text(world, i, text);
        for (const char *c = text;; c++) {
            hash = (hash ^ (uint8_t)*c) * UINT64_C(0x100000001b3);
            if (!*c) break;
        }
    }
    return hash;
}

size_t wb_world_problems(const wb_world *world)
{
    size_t n = 0;
    while (wb_trust_problem_at(world->trust, n)) n++;
    return world->n_problems + n;
}

static const char *what_holds(bool kept)
{
    return kept ? "what was there before holds in its place"
                : "nothing holds in its place: its issuer is a stranger";
}

void wb_world_problem_text(const wb_world *world, size_t i, char out[WB_WORLD_PROBLEM_TEXT])
{
    if (i < world->n_problems) {
        (void)snprintf(out, WB_WORLD_PROBLEM_TEXT, "%s: %s; %s", world->problems[i].part,
                       world->problems[i].error.detail, what_holds(true));
        return;
    }
    const wb_trust_problem *problem = wb_trust_problem_at(world->trust, i - world->n_problems);
    WB_ASSERT(problem);
    (void)snprintf(out, WB_WORLD_PROBLEM_TEXT, "trust: %s: %s; %s", problem->file, problem->reason,
                   what_holds(problem->kept));
}
