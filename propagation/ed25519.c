/* SPDX-License-Identifier: Apache-2.0 */
/* libsodium's verifiers do not all agree: tags up to 1.0.22 compare without the cofactor, master with
 * it, and their lists of small-order points differ. With both A and R held to the prime-order
 * subgroup the two equations have the same answer, whichever the library uses; receipts are evidence,
 * and two honest readers must agree years apart. wb_ed25519_verify relies on that gate having been
 * passed: A's once when its key is loaded, R's by the verifier, which has a code of its own for it. */
#include "propagation/ed25519.h"

#include <sodium.h>
#include <stdio.h>

bool wb_ed25519_point_ok(const uint8_t point[WB_KEY_BYTES])
{
    return crypto_core_ed25519_is_valid_point(point) == 1;
}

bool wb_ed25519_verify(const uint8_t sig[WB_SIG_BYTES], wb_slice message,
                       const uint8_t key[WB_KEY_BYTES])
{
    /* RFC 8032 section 5.1.7; libsodium refuses S >= L there (the self-test holds it to that). */
    return crypto_sign_verify_detached(sig, message.ptr, message.len, key) == 0;
}

void wb_ed25519_kid(const uint8_t key[WB_KEY_BYTES], char kid[WB_HASH_B64 + 1])
{
    char x[WB_HASH_B64 + 1], jwk[96];
    uint8_t hash[WB_HASH_BYTES];
    wb_b64url_format(wb_slice_of(key, WB_KEY_BYTES), x);
    /* RFC 7638 section 3.2: the required members in the order of their names, no white space. */
    int len = snprintf(jwk, sizeof jwk, "{\"crv\":\"Ed25519\",\"kty\":\"OKP\",\"x\":\"%s\"}", x);
    wb_sha256(wb_slice_of(jwk, (size_t)len), hash);
    wb_b64url_format(wb_slice_of(hash, sizeof hash), kid);
}

void wb_sha256(wb_slice bytes, uint8_t out[WB_HASH_BYTES])
{
    (void)crypto_hash_sha256(out, bytes.ptr, bytes.len);
}

bool wb_bytes_equal(const uint8_t *a, const uint8_t *b, size_t len)
{
    return sodium_memcmp(a, b, len) == 0;
}
