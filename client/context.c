/* SPDX-License-Identifier: Apache-2.0 */
/* The traceparent header, read and written. W3C Trace Context level 2, section 3.2: version "00" is exactly
 * 55 characters; a later version may go on behind a '-', and what is known of it is read; "ff" is none; ids
 * are lower-case hex and not all 0. */
#include "core/ids.h"
#include "include/waybill/waybill.h"

enum { AT_TRACE = 3, AT_SPAN = 36, AT_FLAGS = 53, LEN = WAYBILL_TRACEPARENT_LEN };

static bool read_hex(const char *text, void *out, size_t len)
{
    return wb_unhex(wb_slice_of(text, 2 * len), out, len) == WB_OK;
}

bool waybill_context_parse(const char *traceparent, const char *tracestate, waybill_context *out)
{
    waybill_context c = {.claimed = true, .tracestate = tracestate};
    uint8_t version = 0;
    size_t len = traceparent ? strlen(traceparent) : 0;
    if (len < LEN || traceparent[2] != '-' || traceparent[AT_SPAN - 1] != '-' ||
        traceparent[AT_FLAGS - 1] != '-')
        return false;
    if (!read_hex(traceparent, &version, 1) || version == 0xFF) return false;
    if (len > LEN && (version == 0 || traceparent[LEN] != '-')) return false;
    if (!read_hex(traceparent + AT_TRACE, c.trace_id, sizeof c.trace_id) ||
        !read_hex(traceparent + AT_SPAN, c.span_id, sizeof c.span_id) ||
        !read_hex(traceparent + AT_FLAGS, &c.flags, 1))
        return false;
    if (wb_id_is_zero(c.trace_id, sizeof c.trace_id) || wb_id_is_zero(c.span_id, sizeof c.span_id))
        return false;
    *out = c;
    return true;
}

void waybill_context_format(const waybill_context *context, char out[WAYBILL_TRACEPARENT_LEN + 1])
{
    memcpy(out, "00-", AT_TRACE);
    wb_hex(context->trace_id, sizeof context->trace_id, out + AT_TRACE);
    out[AT_SPAN - 1] = '-';
    wb_hex(context->span_id, sizeof context->span_id, out + AT_SPAN);
    out[AT_FLAGS - 1] = '-';
    wb_hex(&context->flags, 1, out + AT_FLAGS);
}
