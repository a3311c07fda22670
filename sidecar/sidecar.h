/* SPDX-License-Identifier: Apache-2.0 */
/* sidecar/sidecar.h: what the parts of one running sidecar share. Made and taken down by main.c. */
#ifndef WAYBILL_SIDECAR_SIDECAR_H
#define WAYBILL_SIDECAR_SIDECAR_H

#include "core/clock.h"
#include "core/paths.h"
#include "propagation/rehome.h"
#include "propagation/token.h"
#include "sidecar/access.h"
#include "sidecar/config.h"
#include "sidecar/counters.h"
#include "sidecar/delegation/spans.h"
#include "sidecar/look.h"
#include "sidecar/peer_key.h"
#include "sidecar/pipeline/pipeline.h"
#include "sidecar/pipeline/series.h"
#include "sidecar/places.h"
#include "sidecar/process_stats.h"
#include "sidecar/rate.h"
#include "sidecar/receivers/ipc.h"
#include "sidecar/refusals.h"
#include "sidecar/sandbox/sandbox.h"
#include "sidecar/world.h"
#include "sidecar/writer.h"

#include <stdatomic.h>

typedef struct wb_sidecar {
    const wb_sidecar_config *config; /* of the start: for keys that are not live */
    wb_access access;                /* who may ask for what */
    gid_t group;                     /* that reaches the socket; WB_NO_GROUP */
    wb_sandbox sandbox;
    struct wb_confinement *confinement; /* sidecar/confine.h; NULL: `sandbox: off` */
    const wb_paths *paths;
    const char *config_path; /* NULL: none */
    const char *isolation;   /* "none" or "uid", as of the start: for what is written down */
    const wb_attr_list *agent_attrs; /* who we are, for resources that arrive; NULL: nothing */
    const wb_clock *clock;
    wb_worlds *worlds;
    wb_refusals *refusals;
    wb_rate *rate; /* of signature checks, by transport peer */
    wb_peer_secret peer_secret;
    wb_pipeline *pipeline;
    wb_series_table *series; /* what was measured of spans */
    wb_rehome *rehome;
    wb_redactor *redactor;
    wb_state state;
    wb_journal *journal;
    wb_writer *writer;
    wb_ipc *ipc;
    struct wb_exporters *exporters; /* sidecar/exporters.h */
    bool markers;                   /* an exporter wants them; as of the start */
    struct wb_otlp *otlp;           /* sidecar/otlp.h; NULL: none listens */
    char mark[WB_ID_HEX + 1];       /* of our exporters' requests: proto/sender.h */
    atomic_ullong export_bytes;     /* that bodies of OTLP in hand take */
    wb_counters counters;
    wb_look look; /* at the state, for reports */
    wb_process_files process;
    atomic_ullong
        oldest_open_ns; /* when the first of the open delegations began; 0: none is open */
    uint64_t started_ns;
    atomic_bool draining;
    atomic_bool unreachable;  /* the socket's name is gone: clients cannot find this process */
    atomic_bool clock_jumped; /* of late: no replay row is forgotten for now */
} wb_sidecar;

/** Who we are; without `more`. */
static inline wb_span_agent wb_sidecar_agent(const wb_sidecar *sidecar)
{
    return (wb_span_agent){.name = wb_slice_str(sidecar->config->name),
                           .id = sidecar->config->self_ids[0],
                           .isolation = wb_slice_str(sidecar->isolation)};
}

/** With what that world's configuration adds: for as long as it is held. */
static inline wb_span_agent wb_sidecar_agent_in(const wb_sidecar *sidecar, const wb_world *world)
{
    wb_span_agent agent = wb_sidecar_agent(sidecar);
    if (world->config.enrich) {
        agent.more = world->config.own_resource;
        agent.n_more = world->config.n_own_resource;
    }
    return agent;
}

#endif
