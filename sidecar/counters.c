/* SPDX-License-Identifier: Apache-2.0 */
#include "sidecar/counters.h"

void wb_count_closed(wb_counters *c, wb_delegation_state state, uint64_t in_flight_ns)
{
    WB_ASSERT(wb_delegation_is_terminal(state) && state <= WB_DELEGATION_LOST);
    wb_count(&c->delegations_closed[state - WB_DELEGATION_ANSWERED]);
    if (state == WB_DELEGATION_LOST) wb_count(&c->delegations_lost);
    wb_histogram_observe(&c->delegation_time, &wb_bounds_long, in_flight_ns);
}

uint64_t wb_counters_spans_accepted(const wb_counters *c)
{
    uint64_t n = 0;
    for (size_t i = 0; i < WB_RECEIVERS; i++)
        n += atomic_load(&c->items[i][WB_SIGNAL_TRACES].accepted);
    return n;
}

uint64_t wb_counters_spans_rejected(const wb_counters *c)
{
    uint64_t n = 0;
    for (size_t i = 0; i < WB_RECEIVERS; i++)
        n += atomic_load(&c->items[i][WB_SIGNAL_TRACES].rejected);
    return n;
}

const char *wb_receiver_name(wb_receiver receiver)
{
    static const char *const names[WB_RECEIVERS] = {"ipc", "http", "grpc"};
    return names[receiver];
}

const char *wb_verb_name(wb_verb verb)
{
    static const char *const names[WB_VERBS] = {
        [WB_VERB_NONE] = "none",
        [WB_VERB_HELLO] = "hello",
        [WB_VERB_RECORD] = "record",
        [WB_VERB_DELEGATE] = "delegate",
        [WB_VERB_OBSERVE] = "observe",
        [WB_VERB_ACCEPT] = "accept",
        [WB_VERB_FINISH] = "finish",
        [WB_VERB_SETTLE] = "settle",
        [WB_VERB_STATUS] = "status",
        [WB_VERB_RELOAD] = "reload",
        [WB_VERB_FORGET_EXPORTER] = "forget_exporter",
    };
    return names[verb];
}

const char *wb_signal_name(wb_signal signal)
{
    static const char *const names[WB_SIGNALS] = {
        [WB_SIGNAL_TRACES] = "traces", [WB_SIGNAL_METRICS] = "metrics", [WB_SIGNAL_LOGS] = "logs"};
    return names[signal];
}
