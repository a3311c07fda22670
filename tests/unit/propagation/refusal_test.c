/* SPDX-License-Identifier: Apache-2.0 */
#include "propagation/refusal.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

static wb_refusal sample(void)
{
    return (wb_refusal){.ref = {1, 2, 3, 4, 5, 6, 7, 8},
                        .kind = WB_REFUSAL_REJECT,
                        .time_ns = 1767225600 * WB_NS_PER_S,
                        .code = WB_S("WB_E_SIG"),
                        .wire_class = WB_S("unauthenticated"),
                        .mode = WB_S("link"),
                        .peer = WB_S("192.0.2.7"),
                        .issuer = WB_S("spiffe://example.org/a"),
                        .key_id = WB_S("1IG2tMH7J2wbJZnOf8LJzQitKf7LMvoAElsuDMVM54Y"),
                        .message_id = WB_S("m\x1b[2J\n"),
                        .detail = WB_S("")};
}

static void a_torn_or_foreign_slot_is_none(void **state)
{
    uint8_t slot[WB_REFUSAL_SLOT_BYTES] = {0};
    wb_refusal out;
    const wb_refusal r = sample();
    (void)state;
    assert_int_equal(wb_refusal_parse(slot, &out), WB_ERR_NOT_FOUND);
    slot[7] = 1;
    assert_int_equal(wb_refusal_parse(slot, &out), WB_ERR_CORRUPT);
    wb_refusal_format(&r, slot);
    for (size_t at = 0; at < sizeof slot; at++) {
        slot[at] ^= 0x20;
        assert_int_not_equal(wb_refusal_parse(slot, &out), WB_OK);
        slot[at] ^= 0x20;
    }
    memset(slot + 512, 0,
           512); /* half of the write came through; the rest is what was there before */
    slot[700] = 7;
    assert_int_equal(wb_refusal_parse(slot, &out), WB_ERR_CORRUPT);
}

static void what_was_written_is_read(void **state)
{
    uint8_t slot[WB_REFUSAL_SLOT_BYTES];
    wb_refusal out;
    const wb_refusal r = sample();
    (void)state;
    wb_refusal_format(&r, slot);
    assert_int_equal(wb_refusal_parse(slot, &out), WB_OK);
    assert_memory_equal(out.ref, r.ref, sizeof r.ref);
    assert_int_equal(out.kind, r.kind);
    assert_int_equal(out.time_ns, r.time_ns);
    assert_true(wb_slice_eq(out.code, r.code) && wb_slice_eq(out.wire_class, r.wire_class));
    assert_true(wb_slice_eq(out.mode, r.mode) && wb_slice_eq(out.peer, r.peer));
    assert_true(wb_slice_eq(out.issuer, r.issuer) && wb_slice_eq(out.key_id, r.key_id));
    assert_true(wb_slice_eq(out.message_id, r.message_id) && wb_slice_eq(out.detail, r.detail));
}

static void long_texts_are_cut_between_characters(void **state)
{
    static char longest[4096];
    uint8_t slot[WB_REFUSAL_SLOT_BYTES];
    wb_refusal r = sample(), out;
    (void)state;
    for (size_t i = 0; i + 1 < sizeof longest; i += 2) memcpy(longest + i, "\xc3\xa9", 2);
    const wb_slice all = wb_slice_of(longest, sizeof longest);
    r.code = r.wire_class = r.mode = r.peer = r.issuer = r.key_id = r.message_id = r.detail = all;
    wb_refusal_format(&r, slot);
    assert_int_equal(wb_refusal_parse(slot, &out), WB_OK);
    assert_int_equal(out.peer.len, 94);
    assert_int_equal(out.issuer.len, 254);
    assert_int_equal(out.message_id.len, 128);
    assert_int_equal(out.detail.len, 158);
}

static wb_status count(void *self, const wb_refusal *refusal)
{
    assert_int_equal(refusal->kind, WB_REFUSAL_REJECT);
    ++*(int *)self;
    return WB_OK;
}

static void a_file_gives_what_is_whole_in_it(void **state)
{
    char dir[] = "/tmp/wb-refusal-XXXXXX", path[64];
    uint8_t slots[3][WB_REFUSAL_SLOT_BYTES];
    int n = 0;
    const wb_refusal r = sample();
    (void)state;
    assert_non_null(mkdtemp(dir));
    assert_int_equal(wb_refusals_read(dir, count, &n, NULL), WB_ERR_NOT_FOUND);
    for (size_t i = 0; i < 3; i++) wb_refusal_format(&r, slots[i]);
    slots[1][40] ^= 1;
    (void)snprintf(path, sizeof path, "%s/" WB_REFUSAL_FILE, dir);
    int fd = open(path, O_CREAT | O_WRONLY | O_EXCL, 0600);
    assert_true(fd >= 0 && write(fd, slots, sizeof slots - 10) == (ssize_t)sizeof slots - 10);
    assert_int_equal(close(fd), 0);
    assert_int_equal(wb_refusals_read(dir, count, &n, NULL), WB_OK);
    assert_int_equal(n, 1); /* the second is damaged, the third cut */
    assert_int_equal(unlink(path) | rmdir(dir), 0);
}

static void a_ref_is_sixteen_hex_digits(void **state)
{
    static const char *const wrong[] = {"",
                                        "5f0c9a7be1d24a3",
                                        "5f0c9a7be1d24a366",
                                        "5f0c9a7be1d24a3g",
                                        "5f0c9a7be1d24a3\n",
                                        "0x0c9a7be1d24a36"};
    uint8_t ref[WB_REF_BYTES];
    (void)state;
    for (size_t i = 0; i < WB_COUNT(wrong); i++) assert_false(wb_ref_parse(wrong[i], ref));
    assert_true(wb_ref_parse("5f0C9a7be1d24A36", ref));
    assert_int_equal(ref[1], 0x0c);
    assert_int_equal(ref[7], 0x36);
}

static void every_code_has_its_words(void **state)
{
    (void)state;
    assert_null(wb_token_help_of(WB_E_NONE));
    assert_null(wb_token_help_of(WB_TOKEN_CODES));
    for (unsigned i = WB_E_NONE + 1; i < WB_TOKEN_CODES; i++) {
        const char *name = wb_token_code_name((wb_token_code)i);
        const wb_token_help *help = wb_token_help_of((wb_token_code)i);
        if (!help || !help->meaning || !help->remedy) {
            fail_msg("%s has no words", name);
            return;
        }
        assert_true(help->step[0] && strlen(help->meaning) > 20 && strlen(help->remedy) > 20);
        assert_int_equal(help->meaning[strlen(help->meaning) - 1], '.');
        assert_int_equal(help->remedy[strlen(help->remedy) - 1], '.');
        assert_int_equal(wb_token_code_parse(wb_slice_str(name)), i);
    }
    assert_int_equal(wb_token_code_parse(WB_S("WB_E_")), WB_E_NONE);
    assert_int_equal(wb_token_code_parse(WB_S("")), WB_E_NONE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_torn_or_foreign_slot_is_none),
        cmocka_unit_test(what_was_written_is_read),
        cmocka_unit_test(long_texts_are_cut_between_characters),
        cmocka_unit_test(a_file_gives_what_is_whole_in_it),
        cmocka_unit_test(a_ref_is_sixteen_hex_digits),
        cmocka_unit_test(every_code_has_its_words),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
