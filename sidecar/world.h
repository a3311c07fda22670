/* SPDX-License-Identifier: Apache-2.0 */
/* sidecar/world.h: what a reload replaces: keys, trust, revocations, and the live keys of the
 * configuration (policies, peers). A world never changes: each request takes one at its start and drops
 * it with its reply, so that all of one request is judged by one world, and nobody holds a lock while
 * signatures are made or checked. docs/design/reload.md */
#ifndef WAYBILL_SIDECAR_WORLD_H
#define WAYBILL_SIDECAR_WORLD_H

#include "core/clock.h"
#include "propagation/keyring.h"
#include "propagation/revoked.h"
#include "propagation/trust.h"
#include "sidecar/config.h"

enum { WB_WORLD_PROBLEMS_MAX = 32, WB_WORLD_STALE_MAX = 32 };

/* A file that could not be taken, so that what it said before holds. */
typedef struct wb_world_problem {
    const char *part; /* "config", "keys", "trust", "revoked", or that of wb_world_besides */
    wb_error error;
} wb_world_problem;

typedef struct wb_world {
    uint64_t generation; /* 1 at the start, then one more with each reload */
    wb_time_ns loaded_ns;
    uint64_t
        seen; /* signature of the files of keys and trust before they were read; 0: look again */
    wb_sidecar_config config; /* live keys as of now, all others as at the start */
    wb_key_ring *ring;
    const wb_trust *trust; /* with problems of its own: files that were left out */
    const wb_revoked *revoked;
    wb_world_problem problems[WB_WORLD_PROBLEMS_MAX];
    size_t n_problems;
    const char *stale[WB_WORLD_STALE_MAX]; /* keys that changed in the file and need a restart */
    size_t n_stale;                        /* may be more than are kept */
} wb_world;

/* What a reload reads and no world holds: somebody else's secret, say. With a fault it stays as it was, and
 * that is a problem of the new world's like any other. Not read for the first one. One at a time. */
typedef struct wb_world_besides {
    const char *part;                             /* NULL: nothing */
    wb_status (*read)(void *self, wb_error *err); /* `err` says what is wrong with which file */
    void *self;
} wb_world_besides;

/* Where worlds are made from; borrowed for the life of the wb_worlds. */
typedef struct wb_world_source {
    const char *keys_dir, *trust_dir;
    const char *config_path;         /* NULL: no file */
    char *const *env;                /* as environ */
    const wb_sidecar_config *config; /* of the start */
    const wb_clock *clock;
    wb_world_besides besides;
} wb_world_source;

typedef struct wb_worlds wb_worlds;

/** Load the first world.
 *  Errors  as wb_key_ring_open, wb_revoked_load and wb_trust_load: nothing of before could hold */
WB_MUST_USE wb_status wb_worlds_open(const wb_world_source *source, wb_worlds **out, wb_error *err);
/** When every world that was taken is dropped. NULL is fine. */
void wb_worlds_free(wb_worlds *worlds);

/** The present world, until wb_world_drop. Any thread; never waits for a reload. */
WB_MUST_USE const wb_world *wb_world_take(wb_worlds *worlds);
/** NULL is fine. */
void wb_world_drop(const wb_world *world);

/** What of the files is not in this world, and whether something holds in its place, in words: its own
 *  problems, then the files that trust left out (at most WB_TRUST_PROBLEMS_MAX of those). */
enum { WB_WORLD_PROBLEM_TEXT = 320 };
size_t wb_world_problems(const wb_world *world);
void wb_world_problem_text(const wb_world *world, size_t i, char out[WB_WORLD_PROBLEM_TEXT]);
/** Was a file left out that is none of the configuration? Its fault may pass without the file changing: no
 *  descriptors, no memory, a disk that stuttered. */
bool wb_world_may_heal(const wb_world *world);
/** A number of all those words: two worlds with the same one have the same problems. */
uint64_t wb_world_problems_hash(const wb_world *world);
/** How many of `stale` are there. */
static inline size_t wb_world_stale(const wb_world *world)
{
    return world->n_stale < WB_WORLD_STALE_MAX ? world->n_stale : WB_WORLD_STALE_MAX;
}

/** Read everything again and make it the present world. A part with a fault stays as it was, and is
 *  among the new world's problems; within trust, a file does. Any thread, one at a time.
 *  Errors  NO_MEMORY: the present world stays */
WB_MUST_USE wb_status wb_worlds_reload(wb_worlds *worlds, wb_error *err);

/** Did the files of keys or trust change since the present world was made? Stats each of them. */
bool wb_worlds_are_stale(wb_worlds *worlds);

#endif
