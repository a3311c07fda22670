/* SPDX-License-Identifier: Apache-2.0 */
/* Each issuer of a trust text, written and read again, has the same keys, and every key that was
 * believed is a good point under its own thumbprint. */
#include "propagation/trust_file.h"

static void check_issuer(const wb_trust_issuer *issuer)
{
    WB_AUTO_BUFFER text;
    wb_trust *trust = NULL;
    wb_buffer_init(&text, WB_TRUST_FILE_MAX_BYTES);
    WB_ASSERT(issuer->n_keys <= WB_TRUST_KEYS_MAX);
    if (wb_trust_file_format(issuer, &text) != WB_OK) return; /* 64 long windows: too large */
    WB_ASSERT(wb_trust_parse(wb_buffer_slice(&text), &trust, NULL) == WB_OK);
    const wb_trust_issuer *again = wb_trust_find(trust, issuer->id);
    WB_ASSERT(again && again->n_keys == issuer->n_keys && again->sequence == issuer->sequence);
    for (size_t i = 0; i < issuer->n_keys; i++) {
        const wb_trust_key *a = &issuer->keys[i], *b = &again->keys[i];
        char kid[WB_HASH_B64 + 1];
        wb_ed25519_kid(a->x, kid);
        WB_ASSERT(wb_ed25519_point_ok(a->x) && strcmp(kid, a->kid) == 0);
        WB_ASSERT(memcmp(a->x, b->x, sizeof a->x) == 0 && a->nbf == b->nbf && a->exp == b->exp);
        WB_ASSERT(wb_trust_key_find(issuer, wb_slice_str(kid)) == a);
    }
    wb_trust_free(trust);
}

/* The same text laid down twice names each of its issuers twice: nobody is left. */
static void check_twice(wb_slice text)
{
    WB_AUTO(wb_trust) trust = NULL;
    const wb_slice texts[] = {text, text};
    WB_ASSERT(wb_trust_from_texts(texts, 2, &trust, NULL) == WB_OK);
    WB_ASSERT(wb_trust_at(trust, 0) == NULL);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static bool ready;
    WB_AUTO(wb_trust) trust = NULL;
    if (!ready) WB_ASSERT(wb_self_test(NULL) == WB_OK);
    ready = true;
    if (wb_trust_parse(wb_slice_of(data, size), &trust, NULL) != WB_OK) return 0;
    for (size_t i = 0; wb_trust_at(trust, i); i++) check_issuer(wb_trust_at(trust, i));
    check_twice(wb_slice_of(data, size));
    return 0;
}
