/* SPDX-License-Identifier: Apache-2.0 */
/* A trust file is a JWK set (RFC 7517, RFC 8037) with the issuer's name beside it, in the manner of a
 * SPIFFE bundle:
 *
 *     {"wb_iss":"<agent id>","spiffe_sequence":1,"spiffe_refresh_hint":300,
 *      "keys":[{"kty":"OKP","crv":"Ed25519","x":"<43>","kid":"<43>","use":"waybill",
 *               "wb_nbf":1767225600,"wb_exp":1798761600}]}
 *
 * A bundle file holds many: {"wb_bundles":[{...},{...}]}. Keys for other purposes may stand beside ours
 * and are skipped; a file with a fault counts for nothing, since half a key set is one that nobody
 * published. A secret key (`d`) among public ones is refused loudly: somebody copied the wrong file. */
#include "propagation/trust_file.h"

#include "core/json.h"
#include "propagation/token.h"

enum { BUNDLE_MAX_ISSUERS = 256 };

static const wb_json_limits trust_limits = {
    .depth = 6, .members = 40, .elements = BUNDLE_MAX_ISSUERS, .string_bytes = 16 * 1024};

static wb_status bad(wb_error *err, const char *why)
{
    return wb_fail(err, WB_ERR_MALFORMED, "%s", why);
}

static wb_slice string_of(const wb_json *object, wb_slice name)
{
    const wb_json *value = wb_json_member(object, name);
    return value && value->type == WB_JSON_STRING ? value->text : (wb_slice){0};
}

/* An optional integer; `out` keeps its value where it is absent. */
static bool optional_int(const wb_json *object, wb_slice name, uint64_t *out)
{
    const wb_json *value = wb_json_member(object, name);
    if (value && value->type == WB_JSON_INT) *out = value->number;
    return !value || value->type == WB_JSON_INT;
}

static bool is_ours(const wb_json *key)
{
    return wb_slice_eq(string_of(key, WB_S("kty")), WB_S("OKP")) &&
           wb_slice_eq(string_of(key, WB_S("crv")), WB_S("Ed25519")) &&
           wb_slice_eq(string_of(key, WB_S("use")), WB_S("waybill"));
}

static wb_status read_key(const wb_json *key, wb_trust_key *out, wb_error *err)
{
    wb_trust_key k = {.nbf = 0, .exp = UINT64_MAX};
    if (wb_b64url_parse_exact(string_of(key, WB_S("x")), k.x, sizeof k.x) != WB_OK ||
        !wb_ed25519_point_ok(k.x))
        return bad(err, "a key's x is not a point of the prime-order subgroup");
    wb_ed25519_kid(k.x, k.kid);
    if (!wb_slice_eq(string_of(key, WB_S("kid")), wb_slice_str(k.kid)))
        return bad(err, "a key's kid is not its thumbprint");
    if (!optional_int(key, WB_S("wb_nbf"), &k.nbf) || !optional_int(key, WB_S("wb_exp"), &k.exp))
        return bad(err, "wb_nbf and wb_exp are integers");
    *out = k;
    return WB_OK;
}

static wb_status read_keys(const wb_json *array, wb_arena *keep, wb_trust_issuer *out,
                           wb_error *err)
{
    if (!array || array->type != WB_JSON_ARRAY) return bad(err, "keys is not an array");
    if (array->n > WB_TRUST_KEYS_MAX) return bad(err, "more than 64 keys");
    wb_trust_key *keys = wb_arena_array(keep, array->n, sizeof *keys);
    if (!keys) return wb_fail(err, WB_ERR_NO_MEMORY, "no memory for the trust directory");
    out->keys = keys;
    for (const wb_json *key = array->first; key; key = key->next) {
        if (key->type != WB_JSON_OBJECT) return bad(err, "a key is not an object");
        if (wb_json_member(key, WB_S("d"))) return bad(err, "a secret key (d) among public ones");
        if (!is_ours(key)) continue;
        WB_TRY(read_key(key, &keys[out->n_keys], err));
        if (wb_trust_key_find(out, wb_slice_str(keys[out->n_keys].kid)))
            return bad(err, "a key twice");
        out->n_keys++;
    }
    return WB_OK;
}

static wb_status read_issuer(const wb_json *object, wb_arena *keep, wb_trust_issuer *out,
                             wb_error *err)
{
    wb_slice id = string_of(object, WB_S("wb_iss"));
    if (!wb_agent_id_ok(id)) return bad(err, "wb_iss is not an agent id");
    if (!optional_int(object, WB_S("spiffe_sequence"), &out->sequence))
        return bad(err, "spiffe_sequence is an integer");
    if (wb_arena_dup(keep, id, &out->id) != WB_OK)
        return wb_fail(err, WB_ERR_NO_MEMORY, "no memory for the trust directory");
    return read_keys(wb_json_member(object, WB_S("keys")), keep, out, err);
}

wb_status wb_trust_file_parse(wb_slice text, wb_arena *scratch, wb_arena *keep, wb_trust_text *out,
                              wb_error *err)
{
    const wb_json *root = NULL;
    wb_json_fault fault;
    if (text.len > WB_TRUST_FILE_MAX_BYTES) return bad(err, "larger than 64 KiB");
    if (wb_json_parse(text, &trust_limits, scratch, &root, &fault) != WB_OK)
        return wb_fail(err, WB_ERR_NO_MEMORY, "no memory for a trust file");
    if (fault != WB_JSON_NO_FAULT) return bad(err, wb_json_fault_text(fault));
    const wb_json *bundles = wb_json_member(root, WB_S("wb_bundles"));
    if (bundles && bundles->type != WB_JSON_ARRAY) return bad(err, "wb_bundles is not an array");
    wb_trust_text t = {.n = bundles ? bundles->n : 1, .is_bundle = bundles != NULL};
    t.issuers = wb_arena_array(keep, t.n, sizeof *t.issuers);
    if (!t.issuers) return wb_fail(err, WB_ERR_NO_MEMORY, "no memory for the trust directory");
    const wb_json *at = bundles ? bundles->first : root;
    for (size_t i = 0; i < t.n; i++, at = at->next)
        WB_TRY(read_issuer(at, keep, &t.issuers[i], err));
    *out = t;
    return WB_OK;
}

static wb_status format_key(const wb_trust_key *key, const char *before, wb_buffer *out)
{
    char x[WB_HASH_B64 + 1];
    wb_b64url_format(wb_slice_of(key->x, sizeof key->x), x);
    WB_TRY(wb_buffer_printf(out,
                            "%s{\"kty\":\"OKP\",\"crv\":\"Ed25519\",\"x\":\"%s\",\"kid\":\"%s\","
                            "\"use\":\"waybill\"",
                            before, x, key->kid));
    if (key->nbf != 0)
        WB_TRY(wb_buffer_printf(out, ",\"wb_nbf\":%llu", (unsigned long long)key->nbf));
    if (key->exp != UINT64_MAX)
        WB_TRY(wb_buffer_printf(out, ",\"wb_exp\":%llu", (unsigned long long)key->exp));
    return wb_buffer_add(out, "}", 1);
}

wb_status wb_trust_file_format(const wb_trust_issuer *issuer, wb_buffer *out)
{
    WB_TRY(wb_buffer_add_slice(out, WB_S("{\"wb_iss\":")));
    WB_TRY(wb_json_add_string(out, issuer->id));
    WB_TRY(wb_buffer_printf(out, ",\"spiffe_sequence\":%llu,\"spiffe_refresh_hint\":%d,\"keys\":[",
                            (unsigned long long)issuer->sequence, WB_TRUST_REFRESH_HINT_S));
    for (size_t i = 0; i < issuer->n_keys; i++)
        WB_TRY(format_key(&issuer->keys[i], i ? "," : "", out));
    return wb_buffer_add_slice(out, WB_S("]}"));
}

void wb_trust_file_name(wb_slice agent_id, char name[WB_TRUST_NAME_LEN + 1])
{
    uint8_t hash[WB_HASH_BYTES];
    wb_sha256(agent_id, hash);
    wb_b64url_format(wb_slice_of(hash, sizeof hash), name);
    memcpy(name + WB_HASH_B64, ".json", sizeof ".json");
}
