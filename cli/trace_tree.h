/* SPDX-License-Identifier: Apache-2.0 */
/* cli/trace_tree.h: one trace out of the store as a tree of spans, with the delegations that are
 * still open in their places. */
#ifndef WAYBILL_CLI_TRACE_TREE_H
#define WAYBILL_CLI_TRACE_TREE_H

#include "core/arena.h"
#include "store/store.h"

enum {
    /* Deeper spans are counted, not shown: a chain of parents is as long as its sender likes. */
    WB_TREE_DEPTH_MAX = 200,
    WB_TREE_BYTES_MAX = 512 * 1024 * 1024,
};

typedef struct wb_tree_node wb_tree_node;
struct wb_tree_node {
    const wb_stored_span *span;             /* NULL: open, its span is not written yet */
    const wb_stored_delegation *delegation; /* of which this is the CLIENT span; or NULL */
    const wb_stored_acceptance *acceptance; /* of which this is the SERVER span; or NULL */
    const wb_stored_sidecar *sidecar;       /* who delivered it */
    const wb_stored_log *logs;              /* that name it, by time */
    size_t n_logs;
    wb_span_id span_id, parent_id;
    wb_time_ns started_ns;
    wb_tree_node *first_child, *last_child, *next; /* by start */
    bool is_orphan;  /* its parent is not in the store; it is shown at the top */
    bool is_settled; /* these two: for the builder */
    size_t walk;
};

typedef struct wb_tree {
    wb_stored_trace trace;
    wb_tree_node top;                        /* its children are the roots */
    const wb_stored_acceptance *acceptances; /* those of the trace, and those that link to it */
    size_t n_acceptances;
    const wb_stored_log **other_logs; /* of the trace, that name no span, or one that is not here */
    size_t n_other_logs;
    size_t n_nodes;
    wb_time_ns now_ns; /* for what is open */
    wb_time_ns from_ns,
        to_ns; /* from the earliest start to the latest end, or now if one is open */
} wb_tree;

/** Read and join. Everything lives in `arena`.
 *  Errors  NOT_FOUND | NO_MEMORY the trace is too large for the arena | as the store's reads */
WB_MUST_USE wb_status wb_tree_load(wb_store *store, const wb_trace_id *trace, wb_time_ns now_ns,
                                   wb_arena *arena, wb_tree *tree, wb_error *err);

/** Where it ends, or now while it is open. */
wb_time_ns wb_tree_end(const wb_tree *tree, const wb_tree_node *node);
/** Ns from start to end, or to now while open; UINT64_MAX if it ends before it starts. */
uint64_t wb_tree_duration(const wb_tree *tree, const wb_tree_node *node);

#endif
