/* SPDX-License-Identifier: Apache-2.0 */
/* sidecar/exporter_kinds.h: the types that `exporters.NAME.type` knows, and what each needs before the
 * process is locked in. */
#ifndef WAYBILL_SIDECAR_EXPORTER_KINDS_H
#define WAYBILL_SIDECAR_EXPORTER_KINDS_H

#include "exporters/exporter.h"
#include "sidecar/config.h"

typedef struct wb_exporter_kind {
    const wb_exporter_ops *ops;
    size_t section;          /* its part of wb_exporter_config */
    uint32_t backoff_max_ms; /* 0: the runner's */
} wb_exporter_kind;

/** Never NULL; `ops` is NULL only for a type that this build does not have, which no configuration names. */
const wb_exporter_kind *wb_exporter_kind_of(wb_exporter_type type);

/** The part of `config` that its type's `open` gets. Borrows both. */
wb_config_section wb_exporter_section(const wb_exporter_config *config, const char *name);

/** How long one send of this exporter may take; 0: as the runner has it. */
uint32_t wb_exporter_send_ms(const wb_exporter_config *config);

/** Once, with one thread and nothing locked: prepare the types of all configured exporters, and say what
 *  about them is not safe. Errors NO_MEMORY */
WB_MUST_USE wb_status wb_exporters_prepare(const wb_sidecar_config *config, wb_error *err);

/** Say whose settings `err` is about, unless it does. */
void wb_exporter_name_error(const wb_exporter_config *x, wb_error *err);

/** Can all configured exporters be opened with their settings? Errors  CONFIG says which could not | NO_MEMORY */
WB_MUST_USE wb_status wb_exporters_check(const wb_sidecar_config *config, wb_error *err);

/** Tell what this exporter has to reach. Errors  CONFIG | NO_MEMORY */
WB_MUST_USE wb_status wb_exporter_tell_needs(const wb_exporter_config *config,
                                             const wb_exporter_needs *needs, wb_error *err);
/** Tell what all configured exporters have to reach. Errors  CONFIG | NO_MEMORY */
WB_MUST_USE wb_status wb_exporters_tell_needs(const wb_sidecar_config *config,
                                              const wb_exporter_needs *needs, wb_error *err);

#endif
