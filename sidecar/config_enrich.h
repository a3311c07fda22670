/* SPDX-License-Identifier: Apache-2.0 */
/* sidecar/config_enrich.h: the attributes that a configuration adds to what arrives, read and encoded once. */
#ifndef WAYBILL_SIDECAR_CONFIG_ENRICH_H
#define WAYBILL_SIDECAR_CONFIG_ENRICH_H

#include "sidecar/config.h"

enum {
    WB_ENRICH_PAIRS_MAX = 32, /* of each list, and of the variable */
    WB_ENRICH_KEY_MAX = 128,
    WB_ENRICH_VALUE_MAX = 1024,
    WB_ENRICH_LIST_BYTES = 8192, /* keys and values of a list */
};

/** As wb_config_key.check: is the last a `key=value` that may be added, with a key that the others do not have?
 *  Errors  CONFIG */
WB_MUST_USE wb_status wb_enrich_pair_check(const wb_slice *items, size_t n, wb_error *err);

/** Make `to_resources`, `own_resource`, `to_spans` and `otel_fault`. OTEL_SERVICE_NAME and OTEL_RESOURCE_ATTRIBUTES come behind
 *  enrich.resource_attributes; a fault in the latter leaves all of that variable out.
 *  env     as environ; NULL: no variables
 *  Errors  NO_MEMORY
 *  Source  OpenTelemetry specification 1.60, resource/sdk.md, "Specifying resource information via an
 *          environment variable" */
WB_MUST_USE wb_status wb_enrich_make(wb_sidecar_config *config, char *const *env, wb_arena *arena,
                                     wb_error *err);

#endif
