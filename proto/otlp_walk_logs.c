/* SPDX-License-Identifier: Apache-2.0 */
/* Log records go through the same envelope as spans and are indexed into the same batch, so that one
 * renderer leaves the rejected ones out. Ids are optional here: a record may stand outside of any trace.
 * All zero means the same as absent (logs.proto). */
#include "proto/otlp_walk.h"

#include "proto/walk.h"

enum { SEVERITY_MAX = 24 };

/* LogRecord's fields whose wire type is LEN, but for the attributes. */
static bool walk_log_bytes(wb_walk *w, const wb_wire_field *f, wb_span *log, bool *seen_body)
{
    if (!wb_walk_expect(w, f, WB_WIRE_LEN)) return false;
    switch (f->number) {
    case 3: wb_walk_text(w, f->bytes); return true;
    case 5: return wb_walk_once(w, seen_body) && wb_walk_value(w, f->bytes);
    case 9: wb_walk_id(w, f->bytes, log->trace_id.b, 16, true); return true;
    case 10: wb_walk_id(w, f->bytes, log->span_id.b, 8, true); return true;
    default:
        wb_walk_text(w, f->bytes);
        log->name = f->bytes;
        return true;
    }
}

static bool walk_log_field(wb_walk *w, const wb_wire_field *f, wb_span *log, bool *seen_body)
{
    switch (f->number) {
    case 1: /* time_unix_nano */
        log->start_ns = f->value;
        return wb_walk_expect(w, f, WB_WIRE_FIXED64);
    case 2: /* severity_number: an int32, of which the low bits count */
        log->kind = (uint32_t)f->value <= SEVERITY_MAX ? (uint8_t)f->value : 0;
        return wb_walk_expect(w, f, WB_WIRE_VARINT);
    case 3:  /* severity_text */
    case 5:  /* body */
    case 9:  /* trace_id */
    case 10: /* span_id */
    case 12: /* event_name */ return walk_log_bytes(w, f, log, seen_body);
    case 7: /* dropped_attributes_count */ return wb_walk_expect(w, f, WB_WIRE_VARINT);
    case 8: log->flags = (uint32_t)f->value; return wb_walk_expect(w, f, WB_WIRE_FIXED32);
    case 11: /* observed_time_unix_nano */
        log->end_ns = f->value;
        return wb_walk_expect(w, f, WB_WIRE_FIXED64);
    default: return true;
    }
}

static bool walk_log(wb_walk *w, wb_slice message, wb_span *log)
{
    wb_wire_field f;
    bool seen_body = false;
    wb_attr_list list = {.tail = &log->attrs.first};
    while (message.len > 0) {
        bool short_attr = wb_walk_take_short(&message, WB_WIRE_TAG(6, WB_WIRE_LEN), &f);
        if (!short_attr && !wb_walk_next(w, &message, &f)) return false;
        bool ok = short_attr || f.number == 6 ? wb_walk_attr(w, &f, message.ptr, &list)
                                              : walk_log_field(w, &f, log, &seen_body);
        if (!ok) return false;
    }
    return true;
}

static const wb_walk_signal logs = {"logs", walk_log};

wb_status wb_otlp_walk_logs(wb_slice body, const wb_key_set *keys, wb_arena *arena,
                            wb_batch **batch, wb_error *err)
{
    wb_walk w = {.keys = keys, .signal = &logs};
    return wb_walk_body(body, &w, arena, batch, err);
}
