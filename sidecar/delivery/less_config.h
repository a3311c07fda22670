/* SPDX-License-Identifier: Apache-2.0 */
/* sidecar/delivery/less_config.h: what one exporter does not get of what the journal has: its part of the configuration.
 * What the keys do: docs/redaction.md. */
#ifndef WAYBILL_SIDECAR_DELIVERY_LESS_CONFIG_H
#define WAYBILL_SIDECAR_DELIVERY_LESS_CONFIG_H

#include "core/config.h"

typedef enum wb_less_content {
    WB_LESS_INHERIT, /* as much as the journal has; a preview if preview_characters is set */
    WB_LESS_PREVIEW,
    WB_LESS_VERBOSE,
    WB_LESS_NONE,
} wb_less_content;

enum {
    WB_LESS_PATTERNS_MAX = 64,
    WB_LESS_CHARACTERS = 500, /* of a preview whose length nobody says */
    WB_LESS_CHARACTERS_MIN = 8,
};

/* As configured. All zero: it gets all. */
typedef struct wb_less_config {
    wb_less_content content;
    uint64_t preview_characters; /* 0: not said */
    const wb_slice *drop;        /* patterns of keys */
    size_t n_drop;
    const wb_slice *hash;
    size_t n_hash;
    const wb_slice *cut;
    size_t n_cut;
} wb_less_config;

_Static_assert(WB_CONFIG_PAIR(wb_less_config, drop, n_drop), "read as a pair");
_Static_assert(WB_CONFIG_PAIR(wb_less_config, hash, n_hash), "read as a pair");
_Static_assert(WB_CONFIG_PAIR(wb_less_config, cut, n_cut), "read as a pair");

#define WB_LESS_KEY(at, field) .offset = (at) + offsetof(wb_less_config, field)

/** Its rows of the configuration, for a table of structs in which a wb_less_config begins at `at`. */
#define WB_LESS_CONFIG_KEYS(prefix, at)                                                            \
    {.name = prefix "redact.content",                                                              \
     .type = WB_CHOICE,                                                                            \
     .fallback = "inherit",                                                                        \
     .choices = "inherit|preview|verbose|none",                                                    \
     .live = true,                                                                                 \
     WB_LESS_KEY(at, content),                                                                     \
     .help = "How much goes there of prompts, answers, arguments and results, never more than "    \
             "`redact.content` keeps. `inherit`: that much."},                                     \
        {.name = prefix "redact.preview_characters",                                               \
         .type = WB_NUMBER,                                                                        \
         .fallback = "0",                                                                          \
         .max = 100000,                                                                            \
         .live = true,                                                                             \
         WB_LESS_KEY(at, preview_characters),                                                      \
         .help = "Of a preview there, 8 or more; by itself it makes `content` a `preview`. 0: "    \
                 "500."},                                                                          \
        {.name = prefix "redact.drop",                                                             \
         .type = WB_SLICES,                                                                        \
         .max = WB_LESS_PATTERNS_MAX,                                                              \
         .live = true,                                                                             \
         WB_LESS_KEY(at, drop),                                                                    \
         .help = "Attributes with such keys do not go there; as `redact.drop`."},                  \
        {.name = prefix "redact.hash",                                                             \
         .type = WB_SLICES,                                                                        \
         .max = WB_LESS_PATTERNS_MAX,                                                              \
         .live = true,                                                                             \
         WB_LESS_KEY(at, hash),                                                                    \
         .help = "Of attributes with such keys a keyed hash goes there; as `redact.hash`, with "   \
                 "the same key."},                                                                 \
    {                                                                                              \
        .name = prefix "redact.cut", .type = WB_SLICES, .max = WB_LESS_PATTERNS_MAX, .live = true, \
        WB_LESS_KEY(at, cut),                                                                      \
        .help = "Attributes with such keys are cut to `preview_characters` before they go there."  \
    }

#endif
