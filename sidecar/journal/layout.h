/* SPDX-License-Identifier: Apache-2.0 */
/* sidecar/journal/layout.h: what the journal's files share on disk: little-endian numbers and names.
 * Private to the journal. */
#ifndef WAYBILL_SIDECAR_JOURNAL_LAYOUT_H
#define WAYBILL_SIDECAR_JOURNAL_LAYOUT_H

#include "sidecar/journal/frame.h"

#include <endian.h>
#include <inttypes.h>
#include <stdio.h>

/* Version of segments and snapshots. A file of a higher one is left untouched and ends the start. */
#define WB_JOURNAL_VERSION UINT32_C(1)

#define WB_LOCK_FILE "lock"
#define WB_SPARE_FILE "spare"
#define WB_SNAPSHOT_DRAFT "snapshot.new"
#define WB_SEGMENT_PREFIX "segment-"
#define WB_SNAPSHOT_PREFIX "snapshot-"
#define WB_QUARANTINE_PREFIX "quarantine-"

enum { WB_FILE_NAME = 32 };

static inline void wb_put_u32(uint8_t *at, uint32_t value)
{
    value = htole32(value);
    memcpy(at, &value, sizeof value);
}

static inline void wb_put_u64(uint8_t *at, uint64_t value)
{
    value = htole64(value);
    memcpy(at, &value, sizeof value);
}

static inline uint32_t wb_get_u32(const uint8_t *at)
{
    uint32_t value;
    memcpy(&value, at, sizeof value);
    return le32toh(value);
}

static inline uint64_t wb_get_u64(const uint8_t *at)
{
    uint64_t value;
    memcpy(&value, at, sizeof value);
    return le64toh(value);
}

static inline uint64_t wb_align8(uint64_t n) { return (n + 7) & ~UINT64_C(7); }

/* PREFIX and 16 lower-case hex digits, so that names sort as their numbers do. */
static inline void wb_numbered_name(char name[WB_FILE_NAME], const char *prefix, uint64_t number)
{
    (void)snprintf(name, WB_FILE_NAME, "%s%016" PRIx64, prefix, number);
}

static inline bool wb_numbered_parse(const char *name, const char *prefix, uint64_t *number)
{
    size_t skip = strlen(prefix);
    uint64_t value = 0;
    if (strncmp(name, prefix, skip) != 0 || strlen(name) != skip + 16) return false;
    for (const char *c = name + skip; *c; c++) {
        if (*c >= '0' && *c <= '9')
            value = value << 4 | (uint64_t)(*c - '0');
        else if (*c >= 'a' && *c <= 'f')
            value = value << 4 | (uint64_t)(*c - 'a' + 10);
        else
            return false;
    }
    *number = value;
    return value <= WB_JOURNAL_NUMBER_MAX;
}

#endif
