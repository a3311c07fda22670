/* SPDX-License-Identifier: Apache-2.0 */
/* What was left out of a world is said once, when the world is made; `status` and `doctor` say it for as
 * long as it is so. A file may be left out for a reason that passes without the file changing (no
 * descriptors left), and that must not keep a revocation out of force: what was left out is read again after
 * 1, 2, 4 ... 60 s, and the log is told only if something else is left out then. */
#include "sidecar/reload.h"

#include "core/log.h"

enum { LOOK_SHARE = 50 }; /* looking takes at most one part in so many of the time */
#define RETRY_FIRST_NS (1 * WB_NS_PER_S)
#define RETRY_MOST_NS (60 * WB_NS_PER_S)

static void say_problems(const wb_world *world)
{
    for (size_t i = 0; i < world->n_problems; i++)
        WB_LOG(ERROR, "reload.kept_old", "a part could not be read: what it said before holds",
               WB_KV("part", world->problems[i].part),
               WB_KV("error", (const char *)world->problems[i].error.detail));
    for (size_t i = 0; wb_trust_problem_at(world->trust, i); i++) {
        const wb_trust_problem *problem = wb_trust_problem_at(world->trust, i);
        WB_LOG(WARN, "trust.file_refused", "a trust file was left out",
               WB_KV("file", (const char *)problem->file),
               WB_KV("reason", (const char *)problem->reason),
               WB_KV("kept", problem->kept ? "what was there before" : "nothing"));
    }
    for (size_t i = 0; i < wb_world_stale(world); i++)
        WB_LOG(WARN, "reload.needs_restart", "a changed key is not taken: needs a restart",
               WB_KV("key", world->stale[i]));
}

wb_status wb_reload_open(const wb_world_source *source, wb_worlds **out, wb_error *err)
{
    WB_TRY(wb_worlds_open(source, out, err));
    const wb_world *world = wb_world_take(*out);
    say_problems(world);
    wb_world_drop(world);
    return WB_OK;
}

static uint64_t problems_hash(wb_worlds *worlds)
{
    const wb_world *world = wb_world_take(worlds);
    uint64_t hash = wb_world_problems_hash(world);
    wb_world_drop(world);
    return hash;
}

/* `told`: the hash of the problems that the log has already; 0: none. */
static wb_status reload(wb_sidecar *sidecar, const char *why, uint64_t told, wb_error *err)
{
    wb_error failed = {.status = WB_OK};
    wb_status status = wb_worlds_reload(sidecar->worlds, &failed);
    if (status != WB_OK) {
        WB_LOG(ERROR, "reload.failed", "what was in force stays", WB_KV("why", why),
               WB_KV("error", (const char *)failed.detail));
        if (err) *err = failed;
        return status;
    }
    const wb_world *world = wb_world_take(sidecar->worlds);
    if (told != 0 && wb_world_problems_hash(world) == told) {
        wb_world_drop(world);
        return WB_OK;
    }
    WB_LOG(INFO, "reload.done", "keys, trust and configuration were read again", WB_KV("why", why),
           WB_KV("generation", world->generation), WB_KV("key_id", wb_key_ring_kid(world->ring)),
           WB_KV("problems", (uint64_t)wb_world_problems(world)));
    say_problems(world);
    wb_world_drop(world);
    return WB_OK;
}

wb_status wb_reload(wb_sidecar *sidecar, const char *why, wb_error *err)
{
    return reload(sidecar, why, 0, err);
}

/* Is it time to read again what was left out? */
static bool retry_is_due(wb_sidecar *sidecar, wb_reload_watch *watch, uint64_t mono)
{
    const wb_world *world = wb_world_take(sidecar->worlds);
    bool may_heal = wb_world_may_heal(world);
    wb_world_drop(world);
    if (!may_heal) {
        watch->retry_mono = watch->pause_ns = 0;
        return false;
    }
    if (mono < watch->retry_mono) return false;
    bool due = watch->retry_mono != 0; /* else it was left out just now */
    uint64_t twice = 2 * watch->pause_ns;
    watch->pause_ns = twice == 0 ? RETRY_FIRST_NS : twice < RETRY_MOST_NS ? twice : RETRY_MOST_NS;
    watch->retry_mono = mono + watch->pause_ns;
    return due;
}

void wb_reload_tick(wb_sidecar *sidecar, wb_reload_watch *watch)
{
    uint64_t began = wb_mono(sidecar->clock);
    if (began < watch->next_mono) return;
    bool stale = wb_worlds_are_stale(sidecar->worlds);
    uint64_t ended = wb_mono(sidecar->clock);
    watch->next_mono = ended + LOOK_SHARE * (ended - began);
    if (stale) {
        watch->retry_mono = watch->pause_ns = 0;
        (void)wb_reload(sidecar, "files changed", NULL);
    } else if (retry_is_due(sidecar, watch, ended)) {
        (void)reload(sidecar, "left out before", problems_hash(sidecar->worlds), NULL);
    }
}
