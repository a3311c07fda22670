/* SPDX-License-Identifier: Apache-2.0 */
/* The parts of a message, found in the JSON of three dialects (docs/tokens.md section 6):
 *
 *   1.0                 0.3 JSON-RPC           0.3 HTTP+JSON
 *   text                text                   text
 *   raw                 file.bytes             file.fileWithBytes
 *   url                 file.uri               file.fileWithUri
 *   data                data                   data.data
 *   filename mediaType  file.name file.mimeType    the same
 *
 * 0.3 wraps a `data` that is no object: it is the member `value`, and metadata.data_part_compat is true.
 * Null means absent, but in the `data` of 1.0, which holds any value, null too. A part of none of these, or of
 * several, is hashed whole, unknown members and all: what a later dialect adds is bound, too. */
#include "client/base64.h"
#include "client/digest.h"
#include "core/jcs.h"

enum { DEPTH_AROUND = 4 }; /* levels above a value: array, part, data, value or data */

/* What a part was found to hold: of several contents the last, which nobody looks at. */
typedef struct found {
    size_t contents;
    wb_part_kind kind;
    const wb_json *content, *filename, *media_type;
} found;

typedef struct reading {
    wb_sha256_state hash;
    wb_arena *arena;   /* the values */
    wb_buffer content; /* of the part in hand, as it is hashed */
    wb_error *err;
} reading;

/* NULL also for null. */
static const wb_json *member(const wb_json *object, const char *name)
{
    const wb_json *value = wb_json_member(object, wb_slice_str(name));
    return value && value->type != WB_JSON_NULL ? value : NULL;
}

static void take(found *f, wb_part_kind kind, const wb_json *content)
{
    if (!content) return;
    f->contents++;
    f->kind = kind;
    f->content = content;
}

static void find_1_0(const wb_json *part, found *f)
{
    take(f, WB_PART_TEXT, member(part, "text"));
    take(f, WB_PART_RAW, member(part, "raw"));
    take(f, WB_PART_URL, member(part, "url"));
    take(f, WB_PART_DATA, wb_json_member(part, WB_S("data")));
    f->filename = member(part, "filename");
    const wb_json *media_type = wb_json_member(part, WB_S("mediaType"));
    f->media_type = media_type ? member(part, "mediaType") : member(part, "media_type");
}

static bool is_compat(const wb_json *part)
{
    const wb_json *flag = member(member(part, "metadata"), "data_part_compat");
    return flag && flag->type == WB_JSON_BOOL && flag->truth;
}

static wb_status find_0_3(reading *r, const wb_json *part, bool http, found *f)
{
    const wb_json *file = member(part, "file");
    const wb_json *data = member(part, "data");
    take(f, WB_PART_TEXT, member(part, "text"));
    take(f, WB_PART_RAW, member(file, http ? "fileWithBytes" : "bytes"));
    take(f, WB_PART_URL, member(file, http ? "fileWithUri" : "uri"));
    if (f->contents > 0 && f->kind != WB_PART_TEXT) {
        f->filename = member(file, "name");
        f->media_type = member(file, "mimeType");
    }
    if (!data) return WB_OK;
    if (http) data = wb_json_member(data, WB_S("data"));
    if (is_compat(part)) data = wb_json_member(data, WB_S("value"));
    if (!data)
        return wb_fail(r->err, WB_ERR_MALFORMED, "a data part that lacks its member %s",
                       is_compat(part) ? "value" : "data");
    take(f, WB_PART_DATA, data);
    return WB_OK;
}

static wb_status string_of(reading *r, const wb_json *value, const char *what, wb_slice *out)
{
    if (!value) {
        *out = WB_S("");
        return WB_OK;
    }
    if (value->type != WB_JSON_STRING)
        return wb_fail(r->err, WB_ERR_MALFORMED, "a %s that is no string", what);
    *out = value->text;
    return WB_OK;
}

static wb_status decode(reading *r, wb_slice text, wb_slice *out)
{
    wb_status st = wb_base64_parse(text, &r->content);
    if (st == WB_ERR_MALFORMED) return wb_fail(r->err, st, "bad base64");
    if (st != WB_OK) return wb_fail(r->err, st, "a part's bytes take too much memory");
    *out = wb_buffer_slice(&r->content);
    return WB_OK;
}

static wb_status canonical(reading *r, const wb_json *value, wb_slice *out)
{
    WB_TRY(wb_jcs_add(&r->content, value, r->arena, r->err));
    *out = wb_buffer_slice(&r->content);
    return WB_OK;
}

/* What is hashed of a part's one content. */
static wb_status content_of(reading *r, const found *f, wb_slice *out)
{
    wb_slice text;
    if (f->kind == WB_PART_DATA) return canonical(r, f->content, out);
    WB_TRY(string_of(r, f->content, "text, URL or base64", &text));
    if (f->kind == WB_PART_RAW) return decode(r, text, out);
    *out = text;
    return WB_OK;
}

static wb_status add_part(reading *r, wb_a2a_dialect dialect, const wb_json *json)
{
    wb_part part = {.kind = WB_PART_OTHER};
    found f = {0};
    if (json->type != WB_JSON_OBJECT)
        return wb_fail(r->err, WB_ERR_MALFORMED, "a part that is no object");
    wb_buffer_clear(&r->content);
    if (dialect == WB_A2A_1_0)
        find_1_0(json, &f);
    else
        WB_TRY(find_0_3(r, json, dialect == WB_A2A_0_3_HTTP, &f));
    if (f.contents == 1) {
        part.kind = f.kind;
        WB_TRY(content_of(r, &f, &part.content));
        WB_TRY(string_of(r, f.filename, "file name", &part.filename));
        WB_TRY(string_of(r, f.media_type, "media type", &part.media_type));
    } else {
        WB_TRY(canonical(r, json, &part.content));
    }
    wb_body_hash_add(&r->hash, &part);
    return WB_OK;
}

static wb_status add_parts(reading *r, wb_a2a_dialect dialect, wb_slice text)
{
    const wb_json *parts = NULL;
    WB_TRY(wb_jcs_parse(text, WB_JCS_DEPTH + DEPTH_AROUND, r->arena, &parts, r->err));
    if (parts->type != WB_JSON_ARRAY)
        return wb_fail(r->err, WB_ERR_MALFORMED, "parts that are no array");
    for (const wb_json *part = parts->first; part; part = part->next)
        WB_TRY(add_part(r, dialect, part));
    return WB_OK;
}

wb_status wb_body_digest_of_json(const uint8_t salt[WB_SALT_LEN], wb_a2a_dialect dialect,
                                 wb_slice parts, size_t limit_bytes,
                                 uint8_t out[WB_BODY_DIGEST_LEN], wb_error *err)
{
    WB_AUTO(wb_arena) arena = wb_arena_new(limit_bytes);
    reading r = {.arena = arena, .err = err};
    if (!arena) return wb_fail(err, WB_ERR_NO_MEMORY, "out of memory");
    wb_body_hash_start(&r.hash, salt);
    wb_buffer_init(&r.content, limit_bytes);
    wb_status st = add_parts(&r, dialect, parts);
    wb_buffer_done(&r.content);
    if (st == WB_OK) wb_sha256_end(&r.hash, out);
    return st;
}
