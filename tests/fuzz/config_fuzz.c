/* SPDX-License-Identifier: Apache-2.0 */
/* Whatever loads can be printed, and the print loads to the same. */
#include "core/config.h"
#include "sidecar/config.h"

static bool load(wb_slice yaml, wb_arena *arena, wb_sidecar_config *out)
{
    wb_error err;
    wb_config_source source = {.name = "fuzz", .yaml = yaml};
    return wb_config_load(&wb_sidecar_config_table, &source, arena, out, &err) == WB_OK;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    WB_AUTO(wb_arena) arena = wb_arena_new(8 << 20);
    WB_AUTO_BUFFER first, again;
    wb_sidecar_config config;
    wb_buffer_init(&first, 4 << 20);
    wb_buffer_init(&again, 4 << 20);
    if (!arena || !load((wb_slice){data, size}, arena, &config)) return 0;
    if (wb_config_print(&wb_sidecar_config_table, &config, &first) != WB_OK) return 0;
    if (first.len > WB_CONFIG_MAX_BYTES) return 0;
    WB_ASSERT(load(wb_buffer_slice(&first), arena, &config));
    WB_ASSERT(wb_config_print(&wb_sidecar_config_table, &config, &again) == WB_OK);
    WB_ASSERT(wb_slice_eq(wb_buffer_slice(&first), wb_buffer_slice(&again)));
    return 0;
}
