/* SPDX-License-Identifier: Apache-2.0 */
/* What was left out of a world is said once, when the world is made; `status` and `doctor` say it for as
 * long as it is so. */
#include "sidecar/reload.h"

#include "core/log.h"

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
               WB_KV("reason", (const char *)problem->reason));
    }
    for (size_t i = 0; i < world->n_stale && i < WB_WORLD_STALE_MAX; i++)
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

wb_status wb_reload(wb_sidecar *sidecar, const char *why, wb_error *err)
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
    WB_LOG(INFO, "reload.done", "keys, trust and configuration were read again", WB_KV("why", why),
           WB_KV("generation", world->generation), WB_KV("key_id", wb_key_ring_kid(world->ring)),
           WB_KV("problems", (uint64_t)(world->n_problems + wb_trust_problems(world->trust))));
    say_problems(world);
    wb_world_drop(world);
    return WB_OK;
}
