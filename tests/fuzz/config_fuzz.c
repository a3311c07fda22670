/* SPDX-License-Identifier: Apache-2.0 */
/* Whatever loads can be printed, and the print loads to the same. What the sidecar's own checks let
 * through besides is what they promise: ids that are ids, origins that belong to one peer each, limits
 * that hold, attributes with a key of their own each. A remark in the first line is OTEL_RESOURCE_ATTRIBUTES. */
#include "core/config.h"
#include "propagation/token.h"
#include "sidecar/config.h"

#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

static bool load(wb_slice yaml, wb_arena *arena, wb_sidecar_config *out)
{
    wb_error err;
    wb_config_source source = {.name = "fuzz", .yaml = yaml};
    return wb_config_load(&wb_sidecar_config_table, &source, arena, out, &err) == WB_OK;
}

/* "# a=b\n..." */
static char *variable_of(wb_slice yaml, wb_arena *arena)
{
    const uint8_t *end = yaml.len > 0 ? memchr(yaml.ptr, '\n', yaml.len) : NULL;
    size_t len = end ? (size_t)(end - yaml.ptr) : yaml.len;
    if (len < 2 || memcmp(yaml.ptr, "# ", 2) != 0 || memchr(yaml.ptr, 0, len)) return NULL;
    return wb_arena_printf(arena, "OTEL_RESOURCE_ATTRIBUTES=%.*s", (int)(len - 2),
                           (const char *)yaml.ptr + 2);
}

static bool load_checked(wb_slice yaml, wb_arena *arena, wb_sidecar_config *out)
{
    char path[64];
    wb_error err;
    int fd = memfd_create("waybill.yaml", MFD_CLOEXEC);
    WB_ASSERT(fd >= 0 && write(fd, yaml.ptr, yaml.len) == (ssize_t)yaml.len);
    (void)snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    char *const env[] = {variable_of(yaml, arena), NULL};
    wb_status status = wb_sidecar_config_load(path, "fuzz", env, arena, out, &err);
    WB_ASSERT(status == WB_OK || (status == WB_ERR_CONFIG && err.detail[0] != '\0'));
    (void)close(fd);
    return status == WB_OK;
}

static void check_list(const wb_attr_list *list)
{
    WB_ASSERT(list && list->n <= WB_ATTR_LIST_MAX);
    for (size_t i = 0; i < list->n; i++) {
        wb_slice key = list->items[i].key;
        WB_ASSERT(key.len > 0 && !wb_slice_starts(key, WB_S("waybill.")));
        for (size_t k = 0; k < i; k++) WB_ASSERT(!wb_slice_eq(list->items[k].key, key));
    }
}

static void check_promises(const wb_sidecar_config *c)
{
    WB_ASSERT(c->n_self_ids > 0 && c->admin.host[0] != '\0');
    for (size_t i = 0; i < c->n_self_ids; i++) WB_ASSERT(wb_agent_id_ok(c->self_ids[i]));
    for (size_t i = 0; i < c->n_peers; i++)
        for (size_t k = 0; k < c->peers[i].n_origins; k++) {
            wb_slice owner = wb_peer_of_origin(c->peers, c->n_peers, c->peers[i].origins[k]);
            WB_ASSERT(wb_slice_eq(owner, c->peers[i].id));
        }
    check_list(c->to_resources);
    check_list(c->to_spans);
    WB_ASSERT(c->journal_limit_bytes / 4 >= c->journal_segment_bytes);
    const wb_baggage_border *borders[] = {&c->accept_baggage, &c->send_baggage};
    for (size_t b = 0; b < WB_COUNT(borders); b++)
        for (size_t i = 0; i < borders[b]->others.n_keys; i++)
            WB_ASSERT(wb_baggage_key_ok(borders[b]->others.keys[i]));
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
    if (load_checked((wb_slice){data, size}, arena, &config)) check_promises(&config);
    return 0;
}
