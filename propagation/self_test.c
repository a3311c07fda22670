/* SPDX-License-Identifier: Apache-2.0 */
/* What a sidecar proves about its libsodium before it signs or believes anything (TOKENS section 13).
 * The first test is not theory: CVE-2025-69277 lets 1.0.20 accept the mixed-order point below, which
 * would let two honest verifiers disagree about one receipt. */
#include "propagation/ed25519.h"

#include <sodium.h>

/* The example root of TOKENS section 19 and the x of the key that signed it. */
static const char example_token[] =
    "eyJhbGciOiJFZDI1NTE5IiwidHlwIjoid2F5YmlsbC10cmFjZStqd3QiLCJraWQiOiIxSUcydE1IN0oyd2JKWm5PZjhM"
    "SnpRaXRLZjdMTXZvQUVsc3VETVZNNTRZIn0.eyJ2ZXIiOjEsImlzcyI6InNwaWZmZTovL2V4YW1wbGUub3JnL2EiLCJz"
    "dWIiOiJzcGlmZmU6Ly9leGFtcGxlLm9yZy9hIiwiYXVkIjoic3BpZmZlOi8vZXhhbXBsZS5vcmcvYiIsImp0aSI6Im9L"
    "R2lvNlNscHFlb3FhcXJySzJ1cnciLCJpYXQiOjE3NjcyMjU2MDAsImV4cCI6MTc2NzIyNTcyMCwiZGxuIjoxNzY3MjI5"
    "MjAwLCJ0aWQiOiIwYWY3NjUxOTE2Y2Q0M2RkODQ0OGViMjExYzgwMzE5YyIsInBzaWQiOiJiN2FkNmI3MTY5MjAzMzMx"
    "IiwidGZsIjozLCJkZXAiOjAsIm14ZCI6NCwibGltIjp7ImN1ciI6IlVTRCIsImNvc3QiOjUwMDAwMCwidG9rIjoyMDAw"
    "MDAsIm1zIjo2MDAwMDB9LCJibmQiOnsibXRoIjoiU2VuZE1lc3NhZ2UiLCJtaWQiOiJtc2ctMSIsImJkZyI6Im1QclBm"
    "OG95Z0NZR0phVUl5WS1rREc4bTA4YXM5am9HeEV0YTRnWVRJUE0ifX0.ML0soN8itXsPKD00DGjPl3Yq9S3S2W0fKLyk"
    "o-S7g4or2EFEs6TDe54NJmVJvUW2Qe6XfSaSsyXxCnTgxqSlAw";
static const char example_x[] = "A6EHv_POEL4dcN0Y50vAmWfk1jCbpQ1fHdyGZBJVMbg";

/* RFC 8037 appendix A.1 to A.4. */
static const char rfc8037_d[] = "nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A";
static const char rfc8037_x[] = "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo";
static const char rfc8037_kid[] = "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k";
static const char rfc8037_input[] = "eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc";
static const char rfc8037_sig[] =
    "hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhV"
    "sPt9g7sVvpAr_MuM0KAg";

static bool decode(const char *text, uint8_t *out, size_t len)
{
    return wb_b64url_parse_exact(wb_slice_str(text), out, len) == WB_OK;
}

static bool refuses_mixed_order(void)
{
    uint8_t point[WB_KEY_BYTES];
    memset(point, 0x99, sizeof point);
    point[0] = 0x95;
    return !wb_ed25519_point_ok(point);
}

static bool thumbprint_reproduces(void)
{
    uint8_t x[WB_KEY_BYTES];
    char kid[WB_HASH_B64 + 1];
    if (!decode(rfc8037_x, x, sizeof x)) return false;
    wb_ed25519_kid(x, kid);
    return strcmp(kid, rfc8037_kid) == 0;
}

static bool signature_reproduces(void)
{
    uint8_t seed[WB_SEED_BYTES], x[WB_KEY_BYTES], secret[crypto_sign_SECRETKEYBYTES];
    uint8_t made[WB_SIG_BYTES], expected[WB_SIG_BYTES];
    wb_slice input = wb_slice_str(rfc8037_input);
    if (!decode(rfc8037_d, seed, sizeof seed) || !decode(rfc8037_sig, expected, sizeof expected))
        return false;
    (void)crypto_sign_seed_keypair(x, secret, seed);
    (void)crypto_sign_detached(made, NULL, input.ptr, input.len, secret);
    return memcmp(made, expected, sizeof made) == 0 && wb_ed25519_verify(made, input, x);
}

static bool base64_is_strict(void)
{
    uint8_t bytes[8];
    size_t len;
    static const char *const bad[] = {
        "QUJD?", "AB", "A", "AA==", "QU JD", "QUJD\n", "QU+/", "QU\xc3\xa4"};
    for (size_t i = 0; i < WB_COUNT(bad); i++)
        if (wb_b64url_parse(wb_slice_str(bad[i]), bytes, sizeof bytes, &len) == WB_OK) return false;
    return wb_b64url_parse(WB_S("QUJD"), bytes, sizeof bytes, &len) == WB_OK && len == 3 &&
           memcmp(bytes, "ABC", 3) == 0;
}

/* The group's order, RFC 8032 section 5.1, little-endian. */
static const uint8_t order[32] = {0xed, 0xd3, 0xf5, 0x5c, 0x1a, 0x63, 0x12, 0x58, 0xd6, 0x9c, 0xf7,
                                  0xa2, 0xde, 0xf9, 0xde, 0x14, 0,    0,    0,    0,    0,    0,
                                  0,    0,    0,    0,    0,    0,    0,    0,    0,    0x10};

static bool example_verifies_and_its_twin_does_not(void)
{
    uint8_t x[WB_KEY_BYTES], sig[WB_SIG_BYTES];
    const char *dot = strrchr(example_token, '.');
    wb_slice input = wb_slice_of(example_token, (size_t)(dot - example_token));
    if (!decode(example_x, x, sizeof x) || !decode(dot + 1, sig, sizeof sig)) return false;
    if (!wb_ed25519_point_ok(x) || !wb_ed25519_point_ok(sig) || !wb_ed25519_verify(sig, input, x))
        return false;
    sodium_add(sig + 32, order, sizeof order); /* S + L: the same scalar, another spelling */
    return !wb_ed25519_verify(sig, input, x);
}

wb_status wb_self_test(wb_error *err)
{
    static const struct {
        bool (*passes)(void);
        const char *claim;
    } tests[] = {
        {refuses_mixed_order, "a point outside the prime-order subgroup is refused"},
        {thumbprint_reproduces, "RFC 8037 A.3, the key id, reproduces"},
        {signature_reproduces, "RFC 8037 A.4, the signature, reproduces"},
        {base64_is_strict, "base64url has one spelling per value"},
        {example_verifies_and_its_twin_does_not,
         "the example token verifies, with S + L it does not"},
    };
    if (sodium_init() < 0)
        return wb_fail(err, WB_ERR_UNAVAILABLE, "libsodium cannot be initialised");
    for (size_t i = 0; i < WB_COUNT(tests); i++)
        if (!tests[i].passes())
            return wb_fail(err, WB_ERR_UNAVAILABLE, "libsodium %s failed the self-test: %s",
                           sodium_version_string(), tests[i].claim);
    return WB_OK;
}
