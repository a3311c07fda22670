/* SPDX-License-Identifier: Apache-2.0 */
/* What is hashed:
 *
 *   "waybill-bdg-v1" 00 | salt[16] | per part in order:
 *   kind byte | F(content) | F(filename) | F(mediaType)      F(x) = length of x as u64 big-endian | x
 *
 * Lengths come first, so that no two lists of parts give the same bytes. client/python/waybill/digest.py
 * says the same in Python; the tests compare the two. */
#include "client/digest.h"

#include "core/jcs.h"
#include "core/utf8.h"

void wb_body_hash_start(wb_sha256_state *hash, const uint8_t salt[WB_SALT_LEN])
{
    wb_sha256_start(hash);
    wb_sha256_add(hash, WB_S("waybill-bdg-v1\0"));
    wb_sha256_add(hash, wb_slice_of(salt, WB_SALT_LEN));
}

static void add_sized(wb_sha256_state *hash, wb_slice s)
{
    uint8_t len[8];
    for (size_t i = 0; i < sizeof len; i++) len[i] = (uint8_t)((uint64_t)s.len >> (56 - 8 * i));
    wb_sha256_add(hash, wb_slice_of(len, sizeof len));
    wb_sha256_add(hash, s);
}

void wb_body_hash_add(wb_sha256_state *hash, const wb_part *part)
{
    uint8_t kind = (uint8_t)part->kind;
    bool named = part->kind != WB_PART_OTHER;
    wb_sha256_add(hash, wb_slice_of(&kind, 1));
    add_sized(hash, part->content);
    add_sized(hash, named ? part->filename : WB_S(""));
    add_sized(hash, named ? part->media_type : WB_S(""));
}

/* TEXT, URL, RAW: hashed as they are. */
static wb_status add_plain(wb_sha256_state *hash, const wb_part *part, wb_error *err)
{
    if (part->kind != WB_PART_RAW && !wb_utf8_valid(part->content))
        return wb_fail(err, WB_ERR_MALFORMED, "a text or URL that is not UTF-8");
    wb_body_hash_add(hash, part);
    return WB_OK;
}

static wb_status add_json(wb_sha256_state *hash, const wb_part *part, size_t limit_bytes,
                          wb_error *err)
{
    WB_AUTO(wb_arena) arena = wb_arena_new(limit_bytes);
    WB_AUTO_BUFFER canonical;
    wb_buffer_init(&canonical, limit_bytes);
    if (!arena) return wb_fail(err, WB_ERR_NO_MEMORY, "out of memory");
    WB_TRY(wb_jcs_format(part->content, arena, &canonical, err));
    wb_part hashed = *part;
    hashed.content = wb_buffer_slice(&canonical);
    wb_body_hash_add(hash, &hashed);
    return WB_OK;
}

static wb_status add_part(wb_sha256_state *hash, const wb_part *part, size_t limit_bytes,
                          wb_error *err)
{
    if (!wb_utf8_valid(part->filename) || !wb_utf8_valid(part->media_type))
        return wb_fail(err, WB_ERR_MALFORMED, "a file name or media type that is not UTF-8");
    switch (part->kind) {
    case WB_PART_TEXT:
    case WB_PART_RAW:
    case WB_PART_URL: return add_plain(hash, part, err);
    case WB_PART_DATA:
    case WB_PART_OTHER: return add_json(hash, part, limit_bytes, err);
    }
    return wb_fail(err, WB_ERR_MALFORMED, "a part of unknown kind %d", (int)part->kind);
}

wb_status wb_body_digest(const uint8_t salt[WB_SALT_LEN], const wb_part *parts, size_t n,
                         size_t limit_bytes, uint8_t out[WB_BODY_DIGEST_LEN], wb_error *err)
{
    wb_sha256_state hash;
    wb_body_hash_start(&hash, salt);
    for (size_t i = 0; i < n; i++) WB_TRY(add_part(&hash, &parts[i], limit_bytes, err));
    wb_sha256_end(&hash, out);
    return WB_OK;
}
