/* SPDX-License-Identifier: Apache-2.0 */
/* sidecar/delivery/delivery_config.h: what one exporter gets of the journal, and in which dress: its
 * part of the configuration. What the keys do: docs/sampling.md. */
#ifndef WAYBILL_SIDECAR_DELIVERY_DELIVERY_CONFIG_H
#define WAYBILL_SIDECAR_DELIVERY_DELIVERY_CONFIG_H

#include "core/config.h"

/* As configured; wb_select_new reads it. All zero: everything goes on as it is. */
typedef struct wb_delivery_config {
    const char *ratio;    /* decimal; NULL: 1 */
    const wb_slice *keep; /* words of the rules */
    size_t n_keep;
    uint64_t slow_ms;
    const char *hold;           /* a duration; NULL: as `ratio` says */
    const wb_slice *attributes; /* KEY=VALUE */
    size_t n_attributes;
    const wb_slice *resource_attributes;
    size_t n_resource_attributes;
    bool markers;
} wb_delivery_config;

_Static_assert(WB_CONFIG_PAIR(wb_delivery_config, keep, n_keep), "read as a pair");
_Static_assert(WB_CONFIG_PAIR(wb_delivery_config, attributes, n_attributes), "read as a pair");
_Static_assert(WB_CONFIG_PAIR(wb_delivery_config, resource_attributes, n_resource_attributes),
               "read as a pair");

enum { WB_DELIVERY_ATTRIBUTES_MAX = 32, WB_DELIVERY_HOLD_MAX_MS = 60000 };

#define WB_DELIVERY_KEY(at, field) .offset = (at) + offsetof(wb_delivery_config, field)

/** Its rows of the configuration, for a table of structs in which a wb_delivery_config begins at `at`:
 *  core/config.h says what `prefix` and `only_type` do. */
#define WB_DELIVERY_CONFIG_KEYS(prefix, at, only_type)                                             \
    {.name = prefix "sampling.ratio",                                                              \
     .type = WB_TEXT,                                                                              \
     .fallback = "1",                                                                              \
     .min = 1,                                                                                     \
     .max = 32,                                                                                    \
     .only = (only_type),                                                                          \
     WB_DELIVERY_KEY(at, ratio),                                                                   \
     .help =                                                                                       \
         "Which part of all traces this exporter gets, 0 to 1, by the randomness of the trace "    \
         "id (OpenTelemetry's `th`), so that all sidecars agree."},                                \
        {.name = prefix "sampling.keep",                                                           \
         .type = WB_SLICES,                                                                        \
         .max = 8,                                                                                 \
         .only = (only_type),                                                                      \
         WB_DELIVERY_KEY(at, keep),                                                                \
         .help = "Traces that it gets besides, as far as they pass here: `error`, `slow`, "        \
                 "`delegation`, `refused_token`, `over_budget`."},                                 \
        {.name = prefix "sampling.slow_ms",                                                        \
         .type = WB_MS,                                                                            \
         .fallback = "5000",                                                                       \
         .min = 1,                                                                                 \
         .max = 86400000,                                                                          \
         .only = (only_type),                                                                      \
         WB_DELIVERY_KEY(at, slow_ms),                                                             \
         .help = "A span that lasted this long is `slow`."},                                       \
        {.name = prefix "hold",                                                                    \
         .type = WB_TEXT,                                                                          \
         .max = 16,                                                                                \
         .only = (only_type),                                                                      \
         WB_DELIVERY_KEY(at, hold),                                                                \
         .help = "How long records wait, so that what a trace does later still counts for "        \
                 "`sampling.keep`; at most 60s. Unset: `5s` with `sampling.ratio` below 1, else "  \
                 "`0`."},                                                                          \
        {.name = prefix "attributes",                                                              \
         .type = WB_SLICES,                                                                        \
         .max = WB_DELIVERY_ATTRIBUTES_MAX,                                                        \
         .only = (only_type),                                                                      \
         WB_DELIVERY_KEY(at, attributes),                                                          \
         .help = "KEY=VALUE, added to every span that goes there; one that has the key loses "     \
                 "its own value."},                                                                \
        {.name = prefix "resource_attributes",                                                     \
         .type = WB_SLICES,                                                                        \
         .max = WB_DELIVERY_ATTRIBUTES_MAX,                                                        \
         .only = (only_type),                                                                      \
         WB_DELIVERY_KEY(at, resource_attributes),                                                 \
         .help = "The same for every resource."},                                                  \
    {                                                                                              \
        .name = prefix "markers", .type = WB_BOOL, .fallback = "false", .only = (only_type),       \
        WB_DELIVERY_KEY(at, markers),                                                              \
        .help = "Spans without length that show a delegation while it is in flight, after 1 s, "   \
                "5 s, 30 s and then each minute: for far sides that know finished spans only."     \
    }

/** Refuse what no exporter could be run with.
 *  Errors  CONFIG says which key and why */
WB_MUST_USE wb_status wb_delivery_config_check(const wb_delivery_config *config, wb_error *err);

#endif
