/* SPDX-License-Identifier: Apache-2.0 */
/* TOKENS section 17, row 1: no byte of a carrier is without meaning. The two links of the worked example,
 * in the carrier's text as it travels; each bit of each byte flipped, and a byte replaced by any other.
 * A client makes the digest with the salt that it finds, so a changed salt comes with another digest. */
#include "a2a/carrier.h"
#include "core/ids.h"
#include "tests/fuzz/token_world.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
/* cmocka wants the four above first */
#include <cmocka.h>

#define SALT "EBESExQVFhcYGRobHB0eHw"

typedef struct flip_fixture {
    char text[4096];
    size_t len;
    uint8_t salt[WB_SALT_BYTES];
} flip_fixture;

static int up(void **state)
{
    static flip_fixture f;
    (void)example_input(); /* libsodium is ready */
    int len =
        snprintf(f.text, sizeof f.text, "{\"v\":\"1\",\"chain\":[\"%s\",\"%s\"],\"salt\":\"%s\"}",
                 example_root_jws, example_child_jws, SALT);
    f.len = (size_t)len;
    *state = &f;
    return wb_b64url_parse_exact(WB_S(SALT), f.salt, sizeof f.salt) == WB_OK ? 0 : -1;
}

static wb_verdict judge(const flip_fixture *f, const char *text)
{
    wb_verify_input in = *example_input();
    wb_carrier carrier = {.chain = {.n = 0}};
    wb_verify_result result;
    wb_arena *arena = fuzz_arena();
    assert_int_equal(wb_carrier_parse(wb_slice_of(text, f->len), arena, &carrier, &in.carrier),
                     WB_OK);
    in.chain = carrier.chain;
    if (memcmp(carrier.salt, f->salt, sizeof f->salt) != 0) in.message.digest[0] ^= 1;
    assert_int_equal(wb_token_verify(&in, arena, &result), WB_OK);
    return wb_verdict_decide(&result, WB_REPLAY_NEW, false);
}

static void the_carrier_itself_continues(void **state)
{
    const flip_fixture *f = *state;
    assert_int_equal(judge(f, f->text).kind, WB_VERDICT_CONTINUE);
}

static void refuse_with(const flip_fixture *f, size_t at, uint8_t flip)
{
    static char text[sizeof f->text];
    memcpy(text, f->text, sizeof text);
    text[at] = (char)((uint8_t)text[at] ^ flip);
    wb_verdict verdict = judge(f, text);
    if (verdict.kind == WB_VERDICT_CONTINUE || verdict.verified)
        fail_msg("byte %zu, changed by %02x, passes", at, flip);
}

static void print_count(const flip_fixture *f, size_t times)
{
    printf("flip: carrier of %zu bytes, changed in %zu ways, 0 accepted\n", f->len, f->len * times);
}

static void no_flipped_bit_of_a_carrier_passes(void **state)
{
    const flip_fixture *f = *state;
    for (size_t at = 0; at < f->len; at++)
        for (unsigned bit = 0; bit < 8; bit++) refuse_with(f, at, (uint8_t)(1u << bit));
    print_count(f, 8);
}

static void no_replaced_byte_of_a_carrier_passes(void **state)
{
    const flip_fixture *f = *state;
    for (size_t at = 0; at < f->len; at++) {
        uint8_t flip = 0;
        while (flip == 0) wb_random(&flip, 1);
        refuse_with(f, at, flip);
    }
    print_count(f, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(the_carrier_itself_continues, up),
        cmocka_unit_test_setup(no_flipped_bit_of_a_carrier_passes, up),
        cmocka_unit_test_setup(no_replaced_byte_of_a_carrier_passes, up),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
