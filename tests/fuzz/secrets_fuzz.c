/* SPDX-License-Identifier: Apache-2.0 */
/* Any text: all ways of finding spots find the same ones; what is masked is no longer than it was; and where something was masked, a search through the bytes of an attribute with that text
 * finds a place. A preview of it is within its limit, well-formed where the text is, and JSON where that is. */
#include "core/json.h"
#include "core/utf8.h"
#include "sidecar/pipeline/preview.h"
#include "sidecar/pipeline/secrets.h"

#include <stdlib.h>

enum {
    INPUT_MAX = 64 * 1024,
    ARENA_BYTES = 64 << 20,
    HEADS = 16,
    SPOTS = 256,
    SPOTS_ALL = 2 * INPUT_MAX + SPOTS
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* All of them, or as many as there is room for. */
static size_t spots_by(wb_spots_way way, wb_slice text, wb_spot *out)
{
    size_t n = 0, from = 0;
    while (from < text.len && n + SPOTS <= SPOTS_ALL)
        n += wb_spots_find_by(way, text, &from, out + n, SPOTS);
    return n;
}

static void same_spots(wb_slice text)
{
    static wb_spot plain[SPOTS_ALL], fast[SPOTS_ALL];
    size_t n = spots_by(WB_SPOTS_BY_BYTE, text, plain);
    for (wb_spots_way way = WB_SPOTS_BY_32; way <= WB_SPOTS_BY_64; way++) {
        WB_ASSERT(spots_by(way, text, fast) == n);
        WB_ASSERT(memcmp(plain, fast, n * sizeof *plain) == 0);
    }
}

static uint8_t *put_length(uint8_t *at, size_t len)
{
    for (; len >= 0x80; len >>= 7) *at++ = (uint8_t)(len | 0x80);
    *at++ = (uint8_t)len;
    return at;
}

/* `text` as a string field, and a byte of whatever comes next. */
static void is_found(wb_slice text, uint8_t behind)
{
    uint8_t *bytes = malloc(text.len + HEADS), *at = bytes;
    size_t place;
    wb_secret_search search;
    if (!bytes) return;
    *at++ = 0x0A;
    at = put_length(at, text.len);
    memcpy(at, text.ptr, text.len);
    at += text.len;
    *at++ = behind;
    *at++ = 0x10;
    wb_secret_search_begin(&search, (wb_slice){bytes, (size_t)(at - bytes)});
    WB_ASSERT(wb_secret_search_next(&search, &place));
    free(bytes);
}

static void masks(wb_slice text, uint8_t behind)
{
    size_t found, again;
    uint8_t *once = malloc(text.len + 1), *twice = malloc(text.len + 1);
    if (once && twice) {
        size_t len = wb_secrets_mask(text, once, &found);
        WB_ASSERT(len <= text.len);
        WB_ASSERT(found > 0 || len == text.len);
        size_t same = wb_secrets_mask((wb_slice){once, len}, twice, &again);
        WB_ASSERT(same <= len);
        if (wb_utf8_valid(text)) WB_ASSERT(wb_utf8_valid((wb_slice){once, len}));
        if (found > 0) is_found(text, behind);
    }
    free(once);
    free(twice);
}

static bool is_json(wb_slice text)
{
    const wb_json_limits limits = {.depth = 64,
                                   .members = INPUT_MAX,
                                   .elements = INPUT_MAX,
                                   .string_bytes = INPUT_MAX,
                                   .any_number = true,
                                   .any_value = true,
                                   .any_char = true,
                                   .sort_members = true};
    const wb_json *root = NULL;
    wb_json_fault fault = WB_JSON_NO_FAULT;
    WB_AUTO(wb_arena) arena = wb_arena_new(ARENA_BYTES);
    return arena && wb_json_parse(text, &limits, arena, &root, &fault) == WB_OK &&
           fault == WB_JSON_NO_FAULT;
}

static void previews(wb_slice text, wb_preview_limit limit)
{
    uint8_t *copy = malloc(text.len + WB_PREVIEW_MORE);
    if (!copy) return;
    memcpy(copy, text.ptr, text.len);
    wb_preview made = wb_preview_cut(copy, text.len, limit);
    size_t len = made.len;
    WB_ASSERT(made.characters <= limit.characters && len <= limit.bytes);
    WB_ASSERT(made.was_cut || (len == text.len && memcmp(copy, text.ptr, len) == 0));
    if (wb_utf8_valid(text)) {
        WB_ASSERT(wb_utf8_valid((wb_slice){copy, len}));
        if (text.len > 0 && (text.ptr[0] == '[' || text.ptr[0] == '{') && len > 0 && is_json(text))
            WB_ASSERT(is_json((wb_slice){copy, len}));
    }
    free(copy);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 3 || size > INPUT_MAX) return 0;
    wb_slice text = {data + 2, size - 2};
    same_spots(text);
    masks(text, data[1]);
    previews(text, (wb_preview_limit){data[0], SIZE_MAX});
    previews(text, (wb_preview_limit){SIZE_MAX, data[0] * 4U});
    return 0;
}
