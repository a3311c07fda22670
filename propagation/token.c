/* SPDX-License-Identifier: Apache-2.0 */
/* One link, taken apart. A compact JWS (RFC 7515 section 7.1) with a closed profile:
 *
 *     b64url(header) "." b64url(payload) "." b64url(R || S)
 *
 * Nothing is believed here, and nothing read here selects what happens next: `alg` is compared, never
 * dispatched on. Lengths are checked before a part is decoded, and each part is decoded and read
 * through before the next check, header before payload (TOKENS section 8, steps 3 to 6). */
#include "propagation/token.h"

#include "propagation/claims.h"

enum { PARTS = 3 };

/* What must be true of a link before any of it is decoded. */
typedef struct encoded {
    wb_slice part[PARTS]; /* header, payload, signature */
} encoded;

static bool split(wb_slice jws, encoded *out)
{
    const uint8_t *at = jws.ptr, *end = jws.ptr + jws.len;
    for (int i = 0; i < PARTS; i++) {
        const uint8_t *dot = at == end ? NULL : memchr(at, '.', (size_t)(end - at));
        if ((i < PARTS - 1) != (dot != NULL)) return false; /* exactly two dots */
        const uint8_t *stop = dot ? dot : end;
        if (stop == at) return false;
        out->part[i] = (wb_slice){at, (size_t)(stop - at)};
        at = dot ? dot + 1 : end;
    }
    return true;
}

static wb_status decode(wb_slice text, wb_arena *arena, wb_slice *out, wb_token_code *code)
{
    size_t cap = WB_B64URL_BYTES(text.len), len;
    uint8_t *bytes = wb_arena_alloc(arena, cap);
    if (!bytes) return WB_ERR_NO_MEMORY;
    *code = wb_b64url_parse(text, bytes, cap, &len) == WB_OK ? WB_E_NONE : WB_E_B64;
    if (*code == WB_E_NONE) *out = (wb_slice){bytes, len};
    return WB_OK;
}

static const wb_json *header_text(const wb_json *header, wb_slice name)
{
    const wb_json *value = wb_json_member(header, name);
    return value && value->type == WB_JSON_STRING ? value : NULL;
}

/* Step 5. RFC 8725 sections 3.1 and 3.11: the algorithm and the type are ours to say. */
static wb_token_code check_header(const wb_json *header, char kid[WB_HASH_B64 + 1])
{
    const wb_json *alg = header_text(header, WB_S("alg"));
    const wb_json *typ = header_text(header, WB_S("typ"));
    const wb_json *key = header_text(header, WB_S("kid"));
    uint8_t hash[WB_HASH_BYTES];
    size_t known = 0;
    if (wb_json_member(header, WB_S("crit"))) return WB_E_CRIT;
    if (wb_json_member(header, WB_S("alg"))) known++;
    if (wb_json_member(header, WB_S("typ"))) known++;
    if (wb_json_member(header, WB_S("kid"))) known++;
    if (header->n != known) return WB_E_HDR;
    if (!alg ||
        (!wb_slice_eq(alg->text, WB_S("Ed25519")) && !wb_slice_eq(alg->text, WB_S("EdDSA"))))
        return WB_E_ALG;
    if (!typ || !wb_slice_eq(typ->text, WB_S("waybill-trace+jwt"))) return WB_E_TYP;
    if (!key || wb_b64url_parse_exact(key->text, hash, sizeof hash) != WB_OK) return WB_E_KID;
    memcpy(kid, key->text.ptr, WB_HASH_B64);
    kid[WB_HASH_B64] = '\0';
    return WB_E_NONE;
}

/* Steps 2 and 3: nothing of the JSON is looked at yet. */
static wb_status take_apart(wb_slice jws, wb_arena *arena, wb_token *out, wb_slice *header,
                            wb_slice *payload, wb_token_code *code)
{
    encoded e;
    wb_slice sig;
    *code = WB_E_SIZE;
    if (jws.len > WB_LINK_MAX_BYTES) return WB_OK;
    *code = WB_E_SYNTAX;
    if (jws.len == 0 || !split(jws, &e)) return WB_OK;
    *code = WB_E_SIZE;
    if (e.part[0].len > WB_B64URL_LEN(WB_HEADER_MAX_BYTES) ||
        e.part[1].len > WB_B64URL_LEN(WB_PAYLOAD_MAX_BYTES))
        return WB_OK;
    WB_TRY(decode(e.part[0], arena, header, code));
    if (*code == WB_E_NONE) WB_TRY(decode(e.part[1], arena, payload, code));
    if (*code == WB_E_NONE) WB_TRY(decode(e.part[2], arena, &sig, code));
    if (*code != WB_E_NONE) return WB_OK;
    *code = WB_E_B64;
    if (sig.len != WB_SIG_BYTES) return WB_OK;
    *code = WB_E_NONE;
    memcpy(out->sig, sig.ptr, sizeof out->sig);
    out->jws = jws;
    out->signed_part = (wb_slice){jws.ptr, e.part[0].len + 1 + e.part[1].len};
    return WB_OK;
}

wb_status wb_token_parse(wb_slice jws, wb_arena *arena, wb_token *out, wb_token_code *code)
{
    wb_token token = {.jws = jws};
    wb_slice header = {0}, payload = {0};
    const wb_json *header_json = NULL;
    const wb_json *payload_json = NULL;
    WB_TRY(take_apart(jws, arena, &token, &header, &payload, code));
    if (*code != WB_E_NONE) return WB_OK;
    WB_TRY(wb_token_json(header, arena, &header_json, code));
    if (*code != WB_E_NONE) return WB_OK;
    WB_TRY(wb_token_json(payload, arena, &payload_json, code));
    if (*code != WB_E_NONE) return WB_OK;
    *code = check_header(header_json, token.claims.kid);
    if (*code != WB_E_NONE) return WB_OK;
    *code = wb_claims_check(payload_json, &token.claims);
    if (*code != WB_E_NONE) return WB_OK;
    wb_token_hash(jws, token.hash);
    *out = token;
    return WB_OK;
}

void wb_token_hash(wb_slice jws, uint8_t out[WB_HASH_BYTES]) { wb_sha256(jws, out); }
