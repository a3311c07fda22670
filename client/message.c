/* SPDX-License-Identifier: Apache-2.0 */
/* What a client makes of an A2A message itself, since content goes to no sidecar: the salt, the digest of the
 * parts, and the salt that came in a carrier. The carrier is read leniently: which one is good the sidecar
 * says, and one whose salt is bad fails there whatever digest comes with it. */
#include "client/base64.h"
#include "client/client.h"
#include "client/digest.h"
#include "core/json.h"

enum {
    TEXT_MAX = 16 * 1024 * 1024,
    MEMORY_PER_BYTE = 48,
    MEMORY_LEAST = 64 * 1024,
    CARRIER_MAX = 64 * 1024, /* 24 576 bytes of chain, and what stands around it */
    CARRIER_ARENA = 256 * 1024,
    CARRIER_STRING = 8192,
    SALT_TEXT = 22,
};

_Static_assert((int)WAYBILL_SALT_BYTES == (int)WB_SALT_LEN, "one salt");
_Static_assert((int)WAYBILL_DIGEST_BYTES == (int)WB_BODY_DIGEST_LEN, "one digest");

void waybill_make_salt(uint8_t salt[WAYBILL_SALT_BYTES]) { wb_random(salt, WAYBILL_SALT_BYTES); }

static wb_a2a_dialect dialect_of(waybill_dialect dialect)
{
    if (dialect == WAYBILL_A2A_0_3_JSONRPC) return WB_A2A_0_3_JSON_RPC;
    return dialect == WAYBILL_A2A_0_3_REST_GRPC ? WB_A2A_0_3_HTTP : WB_A2A_1_0;
}

waybill_status waybill_body_digest(waybill_dialect dialect, const uint8_t salt[WAYBILL_SALT_BYTES],
                                   const char *parts_json, size_t len,
                                   uint8_t digest[WAYBILL_DIGEST_BYTES], waybill_error *err)
{
    wb_error why = {.status = WB_OK};
    if (len > TEXT_MAX)
        return wb_client_say(err, WAYBILL_MALFORMED, "parts of more than %d bytes", TEXT_MAX);
    wb_status status =
        wb_body_digest_of_json(salt, dialect_of(dialect), wb_slice_of(parts_json, len),
                               len * MEMORY_PER_BYTE + MEMORY_LEAST, digest, &why);
    return status == WB_OK ? WAYBILL_OK : wb_client_fail(err, &why, NULL);
}

bool waybill_carrier_salt(const char *carrier_json, size_t len, uint8_t salt[WAYBILL_SALT_BYTES])
{
    static const wb_json_limits limits = {.depth = 3,
                                          .members = 8,
                                          .elements = 8,
                                          .string_bytes = CARRIER_STRING,
                                          .any_number = true};
    const wb_json *root = NULL;
    wb_json_fault fault = WB_JSON_NO_FAULT;
    if (!carrier_json || len > CARRIER_MAX) return false;
    WB_AUTO(wb_arena) arena = wb_arena_new(CARRIER_ARENA);
    if (!arena ||
        wb_json_parse(wb_slice_of(carrier_json, len), &limits, arena, &root, &fault) != WB_OK)
        return false;
    const wb_json *found = fault ? NULL : wb_json_member(root, WB_S("salt"));
    if (!found || found->type != WB_JSON_STRING || found->text.len != SALT_TEXT) return false;
    WB_AUTO_BUFFER bytes;
    wb_buffer_init(&bytes, WAYBILL_SALT_BYTES);
    if (wb_base64_parse(found->text, &bytes) != WB_OK || bytes.len != WAYBILL_SALT_BYTES)
        return false;
    memcpy(salt, bytes.ptr, WAYBILL_SALT_BYTES);
    return true;
}
