/* SPDX-License-Identifier: Apache-2.0 */
/* core/ids.h: trace, span and 16-byte object ids, their hex, and where new ones come from. */
#ifndef WAYBILL_CORE_IDS_H
#define WAYBILL_CORE_IDS_H

#include "core/slice.h"
#include "core/status.h"

typedef struct wb_trace_id {
    uint8_t b[16];
} wb_trace_id; /* wire order; all 0 = absent */
typedef struct wb_span_id {
    uint8_t b[8];
} wb_span_id; /* wire order; all 0 = absent */
typedef struct wb_id {
    uint8_t b[16];
} wb_id; /* delegation, acceptance, request or journal id; all 0 = absent */

enum { WB_TRACE_HEX = 32, WB_SPAN_HEX = 16, WB_ID_HEX = 32 };

static inline bool wb_id_is_zero(const void *id, size_t len)
{
    const uint8_t *b = (const uint8_t *)id;
    uint8_t any = 0;
    for (size_t i = 0; i < len; i++) any |= b[i];
    return any == 0;
}
#define WB_ID_ABSENT(id) wb_id_is_zero((id).b, sizeof(id).b)
#define WB_ID_EQ(x, y) (memcmp((x).b, (y).b, sizeof(x).b) == 0)

/** Fill with bytes from getrandom(2); never fails once the kernel's pool is ready (else aborts). */
void wb_random(void *out, size_t len);
/** Random ids, never all 0. Random trace ids keep W3C level 2's 7 random low bytes. */
wb_trace_id wb_trace_id_new(void);
wb_span_id wb_span_id_new(void);
wb_id wb_id_new(void);

/** Lower-case hex; `out` has room for 2 * len + 1 and gets a NUL. */
void wb_hex(const void *bytes, size_t len, char *out);
/** Read exactly 2 * len lower-case hex digits. MALFORMED otherwise (upper case too). */
WB_MUST_USE wb_status wb_unhex(wb_slice hex, void *out, size_t len);

#endif
