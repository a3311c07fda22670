/* SPDX-License-Identifier: Apache-2.0 */
/* A build without OTLP receivers. */
#include "sidecar/otlp.h"

wb_status wb_otlp_check(const wb_sidecar_config *config, wb_error *err)
{
    (void)config;
    (void)err;
    return WB_OK;
}

wb_status wb_otlp_prepare(wb_sidecar *sidecar, wb_error *err)
{
    (void)sidecar;
    (void)err;
    return WB_OK;
}

wb_status wb_otlp_open(wb_sidecar *sidecar, wb_error *err)
{
    (void)sidecar;
    (void)err;
    return WB_OK;
}

wb_status wb_otlp_reload(void *self, wb_error *err)
{
    (void)self, (void)err;
    return WB_OK;
}
void wb_otlp_tick(wb_sidecar *sidecar) { (void)sidecar; }
void wb_otlp_stop(wb_sidecar *sidecar) { (void)sidecar; }
void wb_otlp_close(wb_sidecar *sidecar) { (void)sidecar; }

uint32_t wb_otlp_in_hand(const wb_sidecar *sidecar)
{
    (void)sidecar;
    return 0;
}

bool wb_otlp_get_report(const wb_sidecar *sidecar, size_t i, wb_otlp_report *out)
{
    (void)sidecar;
    (void)i;
    (void)out;
    return false;
}
