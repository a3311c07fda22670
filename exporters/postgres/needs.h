/* SPDX-License-Identifier: Apache-2.0 */
/* exporters/postgres/needs.h: what a connection opens, told before the process is locked in. */
#ifndef WAYBILL_EXPORTERS_POSTGRES_NEEDS_H
#define WAYBILL_EXPORTERS_POSTGRES_NEEDS_H

#include "exporters/exporter.h"

/* As exporter.h says. */
WB_MUST_USE wb_status wb_postgres_prepare(wb_error *err);
WB_MUST_USE wb_status wb_postgres_tell_needs(const wb_config_section *cfg,
                                             const wb_exporter_needs *needs, wb_error *err);

#endif
