/* SPDX-License-Identifier: Apache-2.0 */
#include "core/sha256.h"

#include "core/status.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
/* cmocka wants the four above first */
#include <cmocka.h>
#include <sodium.h>

enum { LONGEST = 1 << 16 };

/* In pieces of `step` bytes. */
static void hash_in_steps(wb_slice bytes, size_t step, uint8_t out[WB_SHA256_LEN])
{
    wb_sha256_state state;
    wb_sha256_start(&state);
    for (size_t at = 0; at < bytes.len; at += step) {
        size_t n = bytes.len - at < step ? bytes.len - at : step;
        wb_sha256_add(&state, wb_slice_of(bytes.ptr + at, n));
    }
    wb_sha256_end(&state, out);
}

static void check_against_libsodium(wb_slice bytes, size_t step)
{
    uint8_t ours[WB_SHA256_LEN], theirs[crypto_hash_sha256_BYTES];
    hash_in_steps(bytes, step, ours);
    assert_int_equal(crypto_hash_sha256(theirs, bytes.ptr, bytes.len), 0);
    if (memcmp(ours, theirs, sizeof ours) != 0)
        fail_msg("%zu bytes in steps of %zu", bytes.len, step);
}

static void the_examples_of_nist_come_out(void **state)
{
    static const struct {
        const char *text, *hash;
    } cases[] = {
        {"", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"},
        {"abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"},
        {"abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
         "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1"},
    };
    (void)state;
    for (size_t i = 0; i < WB_COUNT(cases); i++) {
        uint8_t hash[WB_SHA256_LEN];
        char hex[2 * WB_SHA256_LEN + 1];
        hash_in_steps(wb_slice_str(cases[i].text), 7, hash);
        assert_string_equal(sodium_bin2hex(hex, sizeof hex, hash, sizeof hash), cases[i].hash);
    }
}

static void every_length_around_the_blocks_is_hashed_like_libsodium(void **state)
{
    uint8_t bytes[4 * WB_SHA256_BLOCK + 2];
    static const size_t steps[] = {1, 3, 63, 64, 65, sizeof bytes};
    static const uint8_t seed[randombytes_SEEDBYTES] = {1};
    (void)state;
    randombytes_buf_deterministic(bytes, sizeof bytes, seed);
    for (size_t len = 0; len <= sizeof bytes; len++)
        for (size_t i = 0; i < WB_COUNT(steps); i++)
            check_against_libsodium(wb_slice_of(bytes, len), steps[i]);
}

static void random_lengths_and_pieces_are_hashed_like_libsodium(void **state)
{
    uint8_t *bytes = test_malloc(LONGEST);
    uint32_t choices[2 * 200];
    static const uint8_t seed[randombytes_SEEDBYTES] = {2};
    static const uint8_t other[randombytes_SEEDBYTES] = {3};
    (void)state;
    randombytes_buf_deterministic(bytes, LONGEST, seed);
    randombytes_buf_deterministic(choices, sizeof choices, other);
    for (size_t i = 0; i < WB_COUNT(choices); i += 2)
        check_against_libsodium(wb_slice_of(bytes, choices[i] % LONGEST),
                                1 + choices[i + 1] % 1000);
    test_free(bytes);
}

/* Both are told that they have had 4 GiB already, so that the length in bits has a high half. */
static void a_length_beyond_32_bits_is_hashed_like_libsodium(void **state)
{
    static const uint8_t piece[3] = {7, 8, 9};
    crypto_hash_sha256_state theirs;
    wb_sha256_state ours;
    uint8_t a[WB_SHA256_LEN], b[WB_SHA256_LEN];
    (void)state;
    wb_sha256_start(&ours);
    ours.len = UINT64_C(1) << 32;
    wb_sha256_add(&ours, wb_slice_of(piece, 3));
    wb_sha256_end(&ours, a);
    assert_int_equal(crypto_hash_sha256_init(&theirs), 0);
    theirs.count = UINT64_C(8) << 32;
    assert_int_equal(crypto_hash_sha256_update(&theirs, piece, 3), 0);
    assert_int_equal(crypto_hash_sha256_final(&theirs, b), 0);
    assert_memory_equal(a, b, sizeof a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_examples_of_nist_come_out),
        cmocka_unit_test(every_length_around_the_blocks_is_hashed_like_libsodium),
        cmocka_unit_test(random_lengths_and_pieces_are_hashed_like_libsodium),
        cmocka_unit_test(a_length_beyond_32_bits_is_hashed_like_libsodium),
    };
    return cmocka_run_group_tests_name("sha256", tests, NULL, NULL);
}
