/* SPDX-License-Identifier: Apache-2.0 */
/* The file of refusals: WB_REFUSAL_SLOTS slots of WB_REFUSAL_SLOT_BYTES each and nothing else, so that it
 * never grows and a record is one write within one page. Not part of the journal: TOKENS section 8 wants no
 * durable state for what is refused, and this is a log, never read to decide. Nothing is synced. A slot
 * that a crash tore fails its check and is passed over; losing the file loses explanations.
 *
 *   0  u32  CRC-32C of the bytes from 4 on
 *   4  u32  "WBR1"
 *   8  u64  time, Unix ns
 *  16  8    ref
 *  24  u8   kind
 *  25  ...  code, class, mode, peer, issuer, key id, message id, detail: each u8 length and its bytes
 *           zeros to the end
 *
 * all numbers little-endian. A slot of zeros was never written. Codes are kept by name: their numbers are
 * this build's. Texts are kept as they came, control characters and all: whoever shows them escapes. */
#include "propagation/refusal.h"

#include "core/crc32c.h"
#include "core/files.h"
#include "core/text_code.h"

#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>

enum { AT_MAGIC = 4, AT_TIME = 8, AT_REF = 16, AT_KIND = 24, AT_TEXTS = 25 };
static const uint32_t MAGIC = 0x31524257; /* "WBR1" */

typedef struct text_place {
    size_t offset; /* of the slice in wb_refusal */
    uint8_t max;
} text_place;
static const text_place places[] = {
    {offsetof(wb_refusal, code), 31},        {offsetof(wb_refusal, wire_class), 31},
    {offsetof(wb_refusal, mode), 15},        {offsetof(wb_refusal, peer), 95},
    {offsetof(wb_refusal, issuer), 255},     {offsetof(wb_refusal, key_id), 43},
    {offsetof(wb_refusal, message_id), 128}, {offsetof(wb_refusal, detail), 159},
};
_Static_assert(AT_TEXTS + 8 + 31 + 31 + 15 + 95 + 255 + 43 + 128 + 159 <= WB_REFUSAL_SLOT_BYTES,
               "a slot holds its texts");

static void put_u32(uint8_t *at, uint32_t value)
{
    value = htole32(value);
    memcpy(at, &value, sizeof value);
}

static uint32_t get_u32(const uint8_t *at)
{
    uint32_t value;
    memcpy(&value, at, sizeof value);
    return le32toh(value);
}

/* Not amid a character: back over continuation bytes. */
static size_t cut(wb_slice text, size_t max)
{
    if (text.len <= max) return text.len;
    while (max > 0 && (text.ptr[max] & 0xC0) == 0x80) max--;
    return max;
}

void wb_refusal_format(const wb_refusal *refusal, uint8_t slot[WB_REFUSAL_SLOT_BYTES])
{
    uint64_t time = htole64(refusal->time_ns);
    uint8_t *at = slot + AT_TEXTS;
    memset(slot, 0, WB_REFUSAL_SLOT_BYTES);
    put_u32(slot + AT_MAGIC, MAGIC);
    memcpy(slot + AT_TIME, &time, sizeof time);
    memcpy(slot + AT_REF, refusal->ref, sizeof refusal->ref);
    slot[AT_KIND] = (uint8_t)refusal->kind;
    for (size_t i = 0; i < WB_COUNT(places); i++) {
        wb_slice text;
        memcpy(&text, (const uint8_t *)refusal + places[i].offset, sizeof text);
        size_t len = cut(text, places[i].max);
        *at++ = (uint8_t)len;
        if (len > 0) memcpy(at, text.ptr, len);
        at += len;
    }
    put_u32(slot, wb_crc32c(0, slot + AT_MAGIC, WB_REFUSAL_SLOT_BYTES - AT_MAGIC));
}

static bool is_blank(const uint8_t *slot)
{
    for (size_t i = 0; i < WB_REFUSAL_SLOT_BYTES; i++)
        if (slot[i] != 0) return false;
    return true;
}

wb_status wb_refusal_parse(const uint8_t slot[WB_REFUSAL_SLOT_BYTES], wb_refusal *out)
{
    wb_refusal r = {.kind = (wb_refusal_kind)slot[AT_KIND]};
    size_t at = AT_TEXTS;
    uint64_t time;
    if (get_u32(slot + AT_MAGIC) != MAGIC)
        return is_blank(slot) ? WB_ERR_NOT_FOUND : WB_ERR_CORRUPT;
    if (get_u32(slot) != wb_crc32c(0, slot + AT_MAGIC, WB_REFUSAL_SLOT_BYTES - AT_MAGIC))
        return WB_ERR_CORRUPT;
    if (r.kind < WB_REFUSAL_REJECT || r.kind > WB_REFUSAL_UNVERIFIED) return WB_ERR_CORRUPT;
    memcpy(&time, slot + AT_TIME, sizeof time);
    r.time_ns = le64toh(time);
    memcpy(r.ref, slot + AT_REF, sizeof r.ref);
    for (size_t i = 0; i < WB_COUNT(places); i++) {
        size_t len = slot[at++];
        if (len > places[i].max || at + len >= WB_REFUSAL_SLOT_BYTES) return WB_ERR_CORRUPT;
        const wb_slice text = wb_slice_of(slot + at, len);
        memcpy((uint8_t *)&r + places[i].offset, &text, sizeof text);
        at += len;
    }
    *out = r;
    return WB_OK;
}

static wb_status read_slots(const uint8_t *bytes, size_t len,
                            wb_status (*each)(void *self, const wb_refusal *refusal), void *self)
{
    for (size_t at = 0; at + WB_REFUSAL_SLOT_BYTES <= len; at += WB_REFUSAL_SLOT_BYTES) {
        wb_refusal refusal;
        if (wb_refusal_parse(bytes + at, &refusal) == WB_OK) WB_TRY(each(self, &refusal));
    }
    return WB_OK;
}

wb_status wb_refusals_read(const char *state_dir,
                           wb_status (*each)(void *self, const wb_refusal *refusal), void *self,
                           wb_error *err)
{
    char path[512];
    size_t len = 0;
    if (snprintf(path, sizeof path, "%s/" WB_REFUSAL_FILE, state_dir) >= (int)sizeof path)
        return wb_fail(err, WB_ERR_UNAVAILABLE, "the state directory's name is too long");
    WB_AUTO_FD fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    if (fd < 0 && errno == ENOENT)
        return wb_fail(err, WB_ERR_NOT_FOUND, "there is no " WB_REFUSAL_FILE " in %.100s",
                       state_dir);
    if (fd < 0) return wb_fail_errno(err, WB_ERR_UNAVAILABLE, errno, "%.100s", path);
    uint8_t *bytes = malloc(WB_REFUSAL_FILE_BYTES);
    if (!bytes) return wb_fail(err, WB_ERR_NO_MEMORY, "no memory");
    wb_status status = wb_file_read(fd, bytes, WB_REFUSAL_FILE_BYTES, &len);
    if (status == WB_OK)
        status = read_slots(bytes, len, each, self);
    else
        status = wb_fail(err, WB_ERR_UNAVAILABLE, "%.100s cannot be read", path);
    free(bytes);
    return status;
}

const char *wb_refusal_kind_name(wb_refusal_kind kind)
{
    static const char *const names[] = {"",         "reject", "duplicate",
                                        "delegate", "passed", "unverified"};
    return (size_t)kind < WB_COUNT(names) ? names[kind] : "";
}

bool wb_ref_parse(const char *text, uint8_t out[WB_REF_BYTES])
{
    uint8_t ref[WB_REF_BYTES];
    if (strlen(text) != WB_REF_HEX) return false;
    for (size_t i = 0; i < WB_REF_BYTES; i++) {
        int high = wb_hex_digit((uint8_t)text[2 * i]), low = wb_hex_digit((uint8_t)text[2 * i + 1]);
        if (high < 0 || low < 0) return false;
        ref[i] = (uint8_t)(high << 4 | low);
    }
    memcpy(out, ref, sizeof ref);
    return true;
}
