/* SPDX-License-Identifier: Apache-2.0 */
/* The carrier in a Message:
 *
 *     {"v":"1","chain":["<root JWS>","<leaf JWS>"],"salt":"<22>"}
 *
 * It comes through the metadata of SDKs, which turn numbers into doubles, reorder members and may
 * escape what they like; so it is read as any JSON, `v` may be any spelling of the number 1, and a link
 * is what its string says after unescaping. Shape alone is judged here. How many links there are and
 * how long they are is the verifier's next step and has codes of its own, so they are counted without
 * taking memory for more than could ever be good. */
#include "a2a/carrier.h"

#include "core/json.h"

#include <stdlib.h>

static const wb_json_limits carrier_limits = {.depth = 2,
                                              .members = 3,
                                              .elements = WB_CHAIN_MAX_LINKS,
                                              .string_bytes = WB_LINK_MAX_BYTES,
                                              .any_number = true,
                                              .count_excess = true};

static bool is_version_1(const wb_json *v)
{
    if (!v) return false;
    if (v->type == WB_JSON_STRING) return v->text.ptr && wb_slice_eq(v->text, WB_S("1"));
    if (v->type == WB_JSON_INT) return v->number == 1;
    if (v->type != WB_JSON_REAL || v->text.len > 32) return false;
    char text[33] = {0}; /* an RFC 8259 number, so strtod reads all of it */
    memcpy(text, v->text.ptr, v->text.len);
    return strtod(text, NULL) == 1.0;
}

static bool read_salt(const wb_json *salt, uint8_t out[WB_SALT_BYTES])
{
    return salt && salt->type == WB_JSON_STRING && salt->text.ptr &&
           wb_b64url_parse_exact(salt->text, out, WB_SALT_BYTES) == WB_OK;
}

static bool read_chain(const wb_json *array, wb_chain *out)
{
    if (!array || array->type != WB_JSON_ARRAY) return false;
    out->n = array->n;
    size_t i = 0;
    for (const wb_json *link = array->first; link; link = link->next) {
        if (link->type != WB_JSON_STRING) return false;
        out->links[i++] = link->text;
    }
    return true;
}

wb_status wb_carrier_parse(wb_slice text, wb_arena *arena, wb_carrier *out, wb_token_code *code)
{
    const wb_json *root = NULL;
    wb_json_fault fault;
    wb_carrier carrier = {0};
    *code = WB_E_MISSING;
    if (text.len == 0 || wb_slice_eq(text, WB_S("null"))) return WB_OK;
    *code = WB_E_CARRIER;
    WB_TRY(wb_json_parse(text, &carrier_limits, arena, &root, &fault));
    if (fault != WB_JSON_NO_FAULT || root->n != 3) return WB_OK;
    if (!is_version_1(wb_json_member(root, WB_S("v"))) ||
        !read_chain(wb_json_member(root, WB_S("chain")), &carrier.chain) ||
        !read_salt(wb_json_member(root, WB_S("salt")), carrier.salt))
        return WB_OK;
    *out = carrier;
    *code = WB_E_NONE;
    return WB_OK;
}

wb_status wb_carrier_format(const wb_carrier *carrier, wb_buffer *out)
{
    char salt[WB_JTI_B64 + 1];
    WB_TRY(wb_buffer_add_slice(out, WB_S("{\"v\":\"1\",\"chain\":[")));
    for (size_t i = 0; i < carrier->chain.n; i++) {
        if (i > 0) WB_TRY(wb_buffer_add(out, ",", 1));
        WB_TRY(wb_json_add_string(out, carrier->chain.links[i]));
    }
    wb_b64url_format(wb_slice_of(carrier->salt, sizeof carrier->salt), salt);
    return wb_buffer_printf(out, "],\"salt\":\"%s\"}", salt);
}
