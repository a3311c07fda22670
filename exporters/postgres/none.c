/* SPDX-License-Identifier: Apache-2.0 */
/* A build without Postgres. */
#include "exporters/postgres/postgres.h"

static wb_status none_open(const wb_config_section *cfg, const wb_exporter_origin *origin,
                           void **self, wb_error *err)
{
    (void)origin;
    (void)self;
    return wb_fail(err, WB_ERR_CONFIG, "%s: this build of Waybill has no Postgres", cfg->name);
}

const wb_exporter_ops wb_exporter_postgres = {.name = "postgres", .open = none_open};
