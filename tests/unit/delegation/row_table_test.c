/* SPDX-License-Identifier: Apache-2.0 */
#include "sidecar/delegation/row_table.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
/* cmocka wants the four above first */
#include <cmocka.h>

enum { KEYS = 512, MAX_ROWS = 300 };

/* What the table should hold: value of each key, 0 = absent. */
typedef struct model {
    uint32_t value[KEYS];
    uint32_t count;
} model;

static uint64_t next_random(uint64_t *seed)
{
    *seed ^= *seed << 13;
    *seed ^= *seed >> 7;
    *seed ^= *seed << 17;
    return *seed;
}

static void key_of(uint32_t i, uint8_t key[16])
{
    memset(key, 0xA5, 16);
    memcpy(key + 4, &i, sizeof i);
}

static void put(wb_row_table *table, model *m, uint32_t i, uint32_t value)
{
    uint8_t key[16];
    void *hot;
    key_of(i, key);
    wb_status status = wb_row_put(table, key, wb_slice_of(&value, sizeof value), &hot);
    if (!m->value[i] && m->count == MAX_ROWS) {
        assert_int_equal(status, WB_ERR_FULL);
        return;
    }
    assert_int_equal(status, WB_OK);
    uint32_t before;
    memcpy(&before, hot, sizeof before);
    assert_int_equal(before, m->value[i]); /* kept by a replace, 0 in a new row */
    memcpy(hot, &value, sizeof value);
    m->count += m->value[i] == 0;
    m->value[i] = value;
}

static void drop(wb_row_table *table, model *m, uint32_t i)
{
    uint8_t key[16];
    key_of(i, key);
    assert_int_equal(wb_row_remove(table, key), m->value[i] != 0);
    m->count -= m->value[i] != 0;
    m->value[i] = 0;
}

static void check(const wb_row_table *table, const model *m)
{
    assert_int_equal(wb_row_count(table), m->count);
    assert_int_equal(wb_row_room(table), MAX_ROWS - m->count);
    for (uint32_t i = 0; i < KEYS; i++) {
        uint8_t key[16];
        wb_slice payload;
        key_of(i, key);
        assert_int_equal(wb_row_get(table, key, &payload, NULL), m->value[i] != 0);
        if (m->value[i]) assert_memory_equal(payload.ptr, &m->value[i], sizeof m->value[i]);
    }
}

static void random_changes_agree_with_a_plain_model(void **state)
{
    wb_row_table *table = wb_row_table_new(16, sizeof(uint32_t), MAX_ROWS);
    model m = {.count = 0};
    uint64_t seed = 20261121;
    (void)state;
    for (int step = 0; step < 40000; step++) {
        uint32_t i = (uint32_t)(next_random(&seed) % KEYS);
        if (next_random(&seed) % 5 < 3)
            put(table, &m, i, (uint32_t)next_random(&seed) | 1);
        else
            drop(table, &m, i);
        if (step % 1000 == 0) check(table, &m);
    }
    check(table, &m);
    wb_row_table_reset(table);
    memset(&m, 0, sizeof m);
    check(table, &m);
    wb_row_table_free(table);
}

typedef struct loaded {
    wb_row_table *table;
    size_t rows;
} loaded;

static wb_status load_row(void *self, wb_slice payload, wb_error *err)
{
    loaded *l = self;
    uint8_t key[16];
    uint32_t i;
    (void)err;
    memcpy(&i, payload.ptr, sizeof i);
    key_of(i, key);
    l->rows++;
    return wb_row_put(l->table, key, payload, NULL);
}

/* Rows of 4 KiB, so that a snapshot takes several slices; between slices rows come and go, and what
 * changed is put again afterwards, as the journal's frames do. */
static void a_snapshot_in_slices_plus_the_later_changes_is_the_table(void **state)
{
    wb_row_table *table = wb_row_table_new(16, 0, KEYS), *copy = wb_row_table_new(16, 0, KEYS);
    static uint8_t payload[4096];
    loaded l = {.table = copy, .rows = 0};
    size_t resume = 0;
    uint32_t slices = 0;
    (void)state;
    for (uint32_t i = 0; i < 300; i++) {
        uint8_t key[16];
        key_of(i, key);
        memcpy(payload, &i, sizeof i);
        assert_int_equal(wb_row_put(table, key, wb_slice_of(payload, sizeof payload), NULL), WB_OK);
    }
    do {
        WB_AUTO_BUFFER slice;
        uint8_t key[16];
        wb_buffer_init(&slice, 1 << 20);
        assert_int_equal(wb_row_snapshot(table, &slice, &resume), WB_OK);
        assert_int_equal(wb_row_load(wb_buffer_slice(&slice), load_row, &l, NULL), WB_OK);
        key_of(slices, key); /* seen already */
        assert_true(wb_row_remove(table, key));
        assert_true(wb_row_remove(copy, key));
        key_of(299 - slices, key); /* not seen yet */
        assert_true(wb_row_remove(table, key));
        slices++;
    } while (resume != 0);
    assert_true(slices >= 4);
    for (uint32_t slot = 0; slot < slices; slot++) {
        uint8_t key[16];
        key_of(299 - slot, key);
        (void)wb_row_remove(copy, key); /* the last one was seen before it went */
    }
    assert_int_equal(wb_row_count(copy), wb_row_count(table));
    for (uint32_t i = 0; i < 300; i++) {
        uint8_t key[16];
        key_of(i, key);
        assert_int_equal(wb_row_get(copy, key, NULL, NULL), wb_row_get(table, key, NULL, NULL));
    }
    wb_row_table_free(table);
    wb_row_table_free(copy);
}

static void a_torn_snapshot_is_corrupt_at_every_cut(void **state)
{
    wb_row_table *table = wb_row_table_new(16, 0, 8), *copy = wb_row_table_new(16, 0, 8);
    WB_AUTO_BUFFER slice;
    size_t resume = 0;
    (void)state;
    wb_buffer_init(&slice, 4096);
    for (uint32_t i = 0; i < 3; i++) {
        uint8_t key[16];
        key_of(i, key);
        assert_int_equal(wb_row_put(table, key, wb_slice_of(&i, sizeof i), NULL), WB_OK);
    }
    assert_int_equal(wb_row_snapshot(table, &slice, &resume), WB_OK);
    for (size_t cut = 0; cut <= slice.len; cut++) {
        loaded l = {.table = copy, .rows = 0};
        wb_status status = wb_row_load(wb_slice_of(slice.ptr, cut), load_row, &l, NULL);
        assert_int_equal(status, cut % 8 == 0 ? WB_OK : WB_ERR_CORRUPT);
        assert_int_equal(l.rows, cut / 8);
    }
    wb_row_table_free(table);
    wb_row_table_free(copy);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(random_changes_agree_with_a_plain_model),
        cmocka_unit_test(a_snapshot_in_slices_plus_the_later_changes_is_the_table),
        cmocka_unit_test(a_torn_snapshot_is_corrupt_at_every_cut),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
