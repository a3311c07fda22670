/* SPDX-License-Identifier: Apache-2.0 */
#include "core/crc32c.h"
#include "sidecar/journal/frame.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

static const wb_frame_home home = {
    .magic = {1, 2, 3, 4, 5, 6, 7, 8},
    .journal_id = {{9, 9, 9}},
    .segment = 7,
};

static const wb_entry entries[] = {
    {WB_ENTRY_SPANS, {(const uint8_t *)"spans!", 6}},
    {WB_ENTRY_PURGE, {NULL, 0}},
    {WB_ENTRY_CURSOR, {(const uint8_t *)"exactly8", 8}},
};

static void make_frame(wb_buffer *buf, uint64_t seq, uint64_t durable_seq)
{
    wb_buffer_init(buf, 1 << 20);
    assert_int_equal(wb_frame_build(buf, seq, entries, WB_COUNT(entries)), WB_OK);
    wb_frame_seal(buf->ptr, &home, durable_seq);
}

static wb_frame_look look_at(const wb_buffer *buf, size_t len, uint64_t room,
                             const wb_frame_home *where, wb_frame_view *view)
{
    size_t need = 0;
    wb_frame_look look = wb_frame_parse((wb_slice){buf->ptr, len}, room, where, view, &need);
    if (look == WB_FRAME_SHORT) assert_true(need > len && need <= room);
    return look;
}

static void another_home_refuses_a_good_frame(void **state)
{
    (void)state;
    WB_AUTO_BUFFER buf;
    wb_frame_view view = {.seq = 99};
    make_frame(&buf, 5, 4);
    wb_frame_home other = home;
    other.segment++;
    assert_int_equal(look_at(&buf, buf.len, buf.len, &other, &view), WB_FRAME_BAD);
    other = home;
    other.journal_id.b[0]++;
    assert_int_equal(look_at(&buf, buf.len, buf.len, &other, &view), WB_FRAME_BAD);
    other = home;
    other.magic[7]++;
    assert_int_equal(look_at(&buf, buf.len, buf.len, &other, &view), WB_FRAME_BAD);
    assert_int_equal(view.seq, 99); /* untouched */
    assert_int_equal(look_at(&buf, buf.len, buf.len, &home, &view), WB_FRAME_GOOD);
}

static void any_flipped_bit_is_refused(void **state)
{
    (void)state;
    WB_AUTO_BUFFER buf;
    wb_frame_view view;
    make_frame(&buf, 5, 4);
    for (size_t bit = 0; bit < 8 * buf.len; bit++) {
        buf.ptr[bit / 8] ^= (uint8_t)(1 << bit % 8);
        assert_int_not_equal(look_at(&buf, buf.len, buf.len, &home, &view), WB_FRAME_GOOD);
        buf.ptr[bit / 8] ^= (uint8_t)(1 << bit % 8);
    }
}

static void what_is_cut_off_asks_for_the_rest_or_is_refused(void **state)
{
    (void)state;
    WB_AUTO_BUFFER buf;
    wb_frame_view view;
    make_frame(&buf, 5, 4);
    for (size_t len = 0; len < buf.len; len++) {
        assert_int_equal(look_at(&buf, len, buf.len, &home, &view), WB_FRAME_SHORT);
        assert_int_equal(look_at(&buf, len, len, &home, &view), WB_FRAME_BAD);
    }
}

/* A frame whose CRC is right and which still says what cannot be. */
typedef struct lie {
    size_t at;
    uint8_t bytes[4];
} lie;

static void write_crc(wb_buffer *buf)
{
    uint8_t number[8] = {7}, crc_bytes[4];
    uint32_t crc = wb_crc32c(0, home.journal_id.b, sizeof home.journal_id.b);
    crc = wb_crc32c(crc, number, sizeof number);
    crc = wb_crc32c(crc, buf->ptr, 12);
    crc = wb_crc32c(crc, buf->ptr + 16, buf->len - 16);
    for (size_t i = 0; i < 4; i++) crc_bytes[i] = (uint8_t)(crc >> 8 * i);
    memcpy(buf->ptr + 12, crc_bytes, sizeof crc_bytes);
}

static void a_frame_that_contradicts_itself_is_refused(void **state)
{
    (void)state;
    static const lie lies[] = {
        {16, {4, 0, 0, 0}},             /* its own sequence was durable before it */
        {16, {0, 0, 0, 0}},             /* sequence 0 */
        {32, {2, 0, 0, 0}},             /* fewer entries than bytes */
        {32, {4, 0, 0, 0}},             /* more */
        {32, {0xFF, 0xFF, 0xFF, 0xFF}}, /* many more */
        {36, {1, 0, 0, 0}},             /* what is always 0 */
        {40, {0, 0, 0, 0}},             /* kind 0 */
        {40, {64, 0, 0, 0}},            /* a kind that does not exist */
        {44, {9, 0, 0, 0}},             /* payloads that do not fit their places */
        {44, {0xFF, 0xFF, 0xFF, 0xFF}},
        {54, {0, 1, 0, 0}}, /* padding that is not 0 */
    };
    for (size_t i = 0; i < WB_COUNT(lies); i++) {
        WB_AUTO_BUFFER buf;
        wb_frame_view view;
        make_frame(&buf, 5, 4);
        write_crc(&buf);
        assert_int_equal(look_at(&buf, buf.len, buf.len, &home, &view), WB_FRAME_GOOD);
        memcpy(buf.ptr + lies[i].at, lies[i].bytes, lies[i].at == 54 ? 2 : 4);
        write_crc(&buf);
        assert_int_equal(look_at(&buf, buf.len, buf.len, &home, &view), WB_FRAME_BAD);
    }
}

static void more_than_a_frame_may_hold_has_no_size(void **state)
{
    (void)state;
    const wb_entry huge[] = {{WB_ENTRY_SPANS, {NULL, WB_FRAME_MAX_BYTES}}};
    const wb_entry beyond[] = {{WB_ENTRY_SPANS, {NULL, SIZE_MAX}}};
    const wb_entry sum[] = {{WB_ENTRY_SPANS, {NULL, WB_FRAME_MAX_BYTES / 2}},
                            {WB_ENTRY_SPANS, {NULL, WB_FRAME_MAX_BYTES / 2}}};
    const wb_entry just[] = {{WB_ENTRY_SPANS, {NULL, WB_FRAME_MAX_BYTES - WB_FRAME_HEADER - 8}}};
    assert_int_equal(wb_frame_bytes(huge, 1), 0);
    assert_int_equal(wb_frame_bytes(beyond, 1), 0);
    assert_int_equal(wb_frame_bytes(sum, 2), 0);
    assert_int_equal(wb_frame_bytes(just, 1), WB_FRAME_MAX_BYTES);
}

static void entries_come_back_as_they_went(void **state)
{
    (void)state;
    WB_AUTO_BUFFER buf;
    wb_frame_view view;
    wb_entry entry;
    size_t at = 0;
    make_frame(&buf, 5, 3);
    assert_int_equal(buf.len % WB_FRAME_ALIGN, 0);
    assert_int_equal(buf.len, wb_frame_bytes(entries, WB_COUNT(entries)));
    assert_int_equal(look_at(&buf, buf.len, buf.len, &home, &view), WB_FRAME_GOOD);
    assert_int_equal(view.seq, 5);
    assert_int_equal(view.durable_seq, 3);
    assert_int_equal(view.bytes, buf.len);
    assert_int_equal(view.n_entries, WB_COUNT(entries));
    for (size_t i = 0; i < WB_COUNT(entries); i++) {
        assert_true(wb_frame_next_entry(&view, &at, &entry));
        assert_int_equal(entry.kind, entries[i].kind);
        assert_true(wb_slice_eq(entry.payload, entries[i].payload));
    }
    assert_false(wb_frame_next_entry(&view, &at, &entry));
}

static void a_frame_can_be_sealed_again_for_another_segment(void **state)
{
    (void)state;
    WB_AUTO_BUFFER buf;
    wb_frame_view view;
    wb_frame_home next = home;
    next.segment = 8;
    next.magic[0] = 0xEE;
    make_frame(&buf, 5, 4);
    wb_frame_seal(buf.ptr, &next, 3);
    assert_int_equal(look_at(&buf, buf.len, buf.len, &home, &view), WB_FRAME_BAD);
    assert_int_equal(look_at(&buf, buf.len, buf.len, &next, &view), WB_FRAME_GOOD);
    assert_int_equal(view.durable_seq, 3);
}

static void a_frame_may_be_empty(void **state)
{
    (void)state;
    WB_AUTO_BUFFER buf;
    wb_frame_view view;
    wb_buffer_init(&buf, 100);
    assert_int_equal(wb_frame_build(&buf, 1, NULL, 0), WB_OK);
    wb_frame_seal(buf.ptr, &home, 0);
    assert_int_equal(buf.len, WB_FRAME_HEADER);
    assert_int_equal(look_at(&buf, buf.len, 1000, &home, &view), WB_FRAME_GOOD);
    assert_int_equal(view.n_entries, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(another_home_refuses_a_good_frame),
        cmocka_unit_test(any_flipped_bit_is_refused),
        cmocka_unit_test(what_is_cut_off_asks_for_the_rest_or_is_refused),
        cmocka_unit_test(a_frame_that_contradicts_itself_is_refused),
        cmocka_unit_test(more_than_a_frame_may_hold_has_no_size),
        cmocka_unit_test(entries_come_back_as_they_went),
        cmocka_unit_test(a_frame_can_be_sealed_again_for_another_segment),
        cmocka_unit_test(a_frame_may_be_empty),
    };
    return cmocka_run_group_tests_name("journal_frame", tests, NULL, NULL);
}
