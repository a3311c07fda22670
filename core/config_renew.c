/* SPDX-License-Identifier: Apache-2.0 */
/* A reload within a running process. Most keys were turned into threads, sockets and files at the start,
 * so only rows marked `live` are taken. Two values are equal if they print alike: the printer knows
 * every type, and what it prints loads to the same value. */
#include "core/config.h"

enum { PRINTED_MAX = 16 * 1024 * 1024 }; /* more than a file of WB_CONFIG_MAX_BYTES can say */

static size_t size_of(wb_config_type type)
{
    switch (type) {
    case WB_BOOL: return sizeof(bool);
    case WB_U32: return sizeof(uint32_t);
    case WB_CHOICE: return sizeof(uint32_t);
    case WB_NUMBER:
    case WB_BYTES:
    case WB_MS:
    case WB_SECONDS: return sizeof(uint64_t);
    case WB_TEXT: return sizeof(const char *);
    case WB_SLICE: return sizeof(wb_slice);
    case WB_SLICES:
    case WB_LIST:
    case WB_MAP: return sizeof(void *) + sizeof(size_t); /* WB_CONFIG_PAIR */
    }
    WB_ASSERT(!"a type that this switch knows");
    return 0;
}

/* Structs within a row, but for their live keys. */
typedef struct steady {
    wb_config_key keys[WB_CONFIG_MAX_KEYS];
    wb_config_table table;
} steady;

static void steady_init(steady *s, const wb_config_table *of)
{
    s->table = (wb_config_table){.keys = s->keys, .size = of->size};
    WB_ASSERT(of->n <= WB_COUNT(s->keys));
    for (size_t i = 0; i < of->n; i++)
        if (!of->keys[i].live) s->keys[s->table.n++] = of->keys[i];
}

static wb_status same(const wb_config_table *table, size_t i, const void *a, const void *b,
                      bool *out)
{
    steady inner;
    wb_config_key key = table->keys[i];
    const wb_config_table row = {&key, 1, table->size};
    if (key.of) {
        steady_init(&inner, key.of);
        key.of = &inner.table;
    }
    WB_AUTO_BUFFER first;
    WB_AUTO_BUFFER second;
    wb_buffer_init(&first, PRINTED_MAX);
    wb_buffer_init(&second, PRINTED_MAX);
    WB_TRY(wb_config_print(&row, a, &first));
    WB_TRY(wb_config_print(&row, b, &second));
    *out = wb_slice_eq(wb_buffer_slice(&first), wb_buffer_slice(&second));
    return WB_OK;
}

wb_status wb_config_renew(const wb_config_table *table, const void *running, const void *fresh,
                          void *out, void (*on_stale)(void *self, const char *key), void *self,
                          wb_error *err)
{
    memcpy(out, running, table->size);
    for (size_t i = 0; i < table->n; i++) {
        const wb_config_key *key = &table->keys[i];
        bool is_same = true;
        if (key->live) {
            memcpy((uint8_t *)out + key->offset, (const uint8_t *)fresh + key->offset,
                   size_of(key->type));
            continue;
        }
        if (!on_stale) continue;
        if (same(table, i, running, fresh, &is_same) != WB_OK)
            return wb_fail(err, WB_ERR_NO_MEMORY, "too much configuration to compare");
        if (!is_same) on_stale(self, key->name);
    }
    return WB_OK;
}
