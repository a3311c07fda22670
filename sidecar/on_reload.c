/* SPDX-License-Identifier: Apache-2.0 */
/* Reload: read keys, trust and configuration again, now, and say what came of it: whoever revoked a key
 * wants to know that it is in force. The reply is about the present world, which may be a newer one than
 * this request made. */
#include "sidecar/reload.h"
#include "sidecar/request.h"

#include "proto/waybill/v1/ipc.pb-c.h"

static wb_status add_problem(wb_request *r, Waybill__V1__ReloadReply *reply, const char *text)
{
    char *copy = wb_arena_printf(r->arena, "%s", text);
    if (!copy) return WB_ERR_NO_MEMORY;
    reply->problems[reply->n_problems++] = copy;
    return WB_OK;
}

static wb_status fill(wb_request *r, const wb_world *world, Waybill__V1__ReloadReply *reply)
{
    size_t problems = wb_world_problems(world), stale = wb_world_stale(world);
    char text[WB_WORLD_PROBLEM_TEXT];
    reply->generation = world->generation;
    reply->key_id = wb_arena_printf(r->arena, "%s", wb_key_ring_kid(world->ring));
    reply->problems = wb_arena_array(r->arena, problems + 1, sizeof *reply->problems);
    reply->needs_restart = wb_arena_array(r->arena, stale + 1, sizeof *reply->needs_restart);
    if (!reply->key_id || !reply->problems || !reply->needs_restart) return WB_ERR_NO_MEMORY;
    for (size_t i = 0; i < problems; i++) {
        wb_world_problem_text(world, i, text);
        WB_TRY(add_problem(r, reply, text));
    }
    for (; reply->n_needs_restart < stale; reply->n_needs_restart++)
        reply->needs_restart[reply->n_needs_restart] =
            (char *)world->stale[reply->n_needs_restart]; /* packing only reads */
    return WB_OK;
}

void wb_on_reload(wb_request *r)
{
    wb_error err = {.status = WB_OK};
    wb_status status = wb_reload(r->sidecar, "request", &err);
    if (status != WB_OK) {
        wb_request_reply(r, status, err.detail);
        return;
    }
    Waybill__V1__ReloadReply *reply = wb_arena_alloc(r->arena, sizeof *reply);
    const wb_world *world = wb_world_take(r->sidecar->worlds);
    if (reply) waybill__v1__reload_reply__init(reply);
    status = reply ? fill(r, world, reply) : WB_ERR_NO_MEMORY;
    wb_world_drop(world);
    r->reply->body_case = WAYBILL__V1__REPLY__BODY_RELOAD;
    r->reply->reload = reply;
    wb_request_reply(r, status, status == WB_OK ? NULL : "arena limit");
}
