/* SPDX-License-Identifier: Apache-2.0 */
/* A marker's time is when it was due, not when it was written: a sidecar that was busy, or down, or that
 * lost the last frame of its journal, writes the same span that it would have written. Jaeger shows
 * spans that are alike as one. */
#include "sidecar/delegation/markers.h"

#include "core/delegation_state.h"
#include "proto/waybill/v1/journal.pb-c.h"
#include "proto/wire.h"

#include <sodium.h>

enum { MARKERS_FIELD = 40, FIRST = 3, ATTRS = 6, MINUTE_S = 60 };

static const uint64_t first_s[FIRST] = {1, 5, 30};

uint64_t wb_marker_due_ns(uint32_t n)
{
    uint64_t s = n < FIRST ? first_s[n] : (uint64_t)MINUTE_S * (n - FIRST + 1);
    return s * WB_NS_PER_S;
}

uint32_t wb_markers_due(uint64_t age_ns)
{
    uint32_t n = 0;
    while (n < FIRST && age_ns >= wb_marker_due_ns(n)) n++;
    uint64_t minutes = age_ns / WB_NS_PER_S / MINUTE_S;
    return minutes < UINT32_MAX - FIRST ? n + (uint32_t)minutes : UINT32_MAX;
}

wb_span_id wb_marker_span_id(const wb_id *delegation, uint32_t n)
{
    static const char what[] = "waybill.marker";
    uint8_t hash[crypto_hash_sha256_BYTES], number[4];
    crypto_hash_sha256_state state;
    wb_span_id id;
    for (int i = 0; i < 4; i++) number[i] = (uint8_t)(n >> (24 - 8 * i));
    crypto_hash_sha256_init(&state);
    crypto_hash_sha256_update(&state, (const uint8_t *)what, sizeof what - 1);
    crypto_hash_sha256_update(&state, delegation->b, sizeof delegation->b);
    crypto_hash_sha256_update(&state, number, sizeof number);
    crypto_hash_sha256_final(&state, hash);
    memcpy(id.b, hash, sizeof id.b);
    return id;
}

static void copy_id(void *id, size_t len, ProtobufCBinaryData from)
{
    if (from.len == len) memcpy(id, from.data, len);
}

wb_status wb_marker_draft(const Waybill__V1__DelegationRow *row, uint32_t n, wb_arena *arena,
                          wb_span_draft *out)
{
    wb_id id = {{0}};
    char *hex = wb_arena_alloc(arena, WB_ID_HEX + 1);
    wb_otlp_attr *attrs = wb_arena_array(arena, ATTRS, sizeof *attrs);
    if (!hex || !attrs) return WB_ERR_NO_MEMORY;
    copy_id(id.b, sizeof id, row->id);
    wb_hex(id.b, sizeof id.b, hex);
    wb_slice target =
        wb_slice_str(row->target_agent_id[0] ? row->target_agent_id : row->target_url);
    WB_TRY(wb_arena_dup(arena, target, &target));
    const char *state = wb_delegation_state_name((wb_delegation_state)row->state);
    const wb_otlp_attr made[ATTRS] = {
        WB_ATTR_TEXT("waybill.span.type", WB_S("event")),
        WB_ATTR_BOOL("waybill.marker", true),
        WB_ATTR_INT("waybill.marker.n", n),
        WB_ATTR_TEXT("waybill.delegation.id", wb_slice_str(hex)),
        WB_ATTR_TEXT("waybill.delegation.target", target),
        WB_ATTR_TEXT("waybill.delegation.state", wb_slice_str(state)),
    };
    memcpy(attrs, made, sizeof made);
    wb_time_ns due = row->opened_ns + wb_marker_due_ns(n);
    *out = (wb_span_draft){.name = WB_S("delegation in flight"),
                           .kind = WB_SPAN_INTERNAL,
                           .span_id = wb_marker_span_id(&id, n),
                           .flags = row->trace_flags,
                           .start_ns = due,
                           .end_ns = due,
                           .attrs = attrs,
                           .attr_count = ATTRS};
    copy_id(out->trace_id.b, sizeof out->trace_id, row->trace_id);
    copy_id(out->parent_id.b, sizeof out->parent_id, row->span_id);
    return WB_OK;
}

bool wb_marker_read(const wb_span_row *span, wb_marker_due *out)
{
    wb_value n;
    wb_slice id = wb_otlp_find_text(span->span, WB_OTLP_SPAN, WB_S("waybill.delegation.id"));
    if (!wb_otlp_find_attr(span->span, WB_OTLP_SPAN, WB_S("waybill.marker.n"), &n)) return false;
    if (n.type != WB_VALUE_INT || n.integer < 0 || n.integer >= UINT32_MAX) return false;
    out->n = (uint32_t)n.integer;
    return wb_unhex(id, out->id.b, sizeof out->id.b) == WB_OK;
}

wb_status wb_marker_noted(wb_slice packed, uint32_t markers, wb_arena *arena, wb_slice *out)
{
    enum { TAG_BYTES = 2 }; /* of field 40 */
    wb_wire_field f;
    uint8_t *made = wb_arena_alloc(arena, packed.len + TAG_BYTES + wb_wire_varint_size(markers)),
            *at = made;
    if (!made) return WB_ERR_NO_MEMORY;
    while (packed.len > 0 && wb_wire_next(&packed, &f)) {
        if (f.number == MARKERS_FIELD) continue;
        size_t len = (size_t)(packed.ptr - f.tag_at);
        memcpy(at, f.tag_at, len);
        at += len;
    }
    at = wb_wire_put_varint(at, MARKERS_FIELD << 3 | WB_WIRE_VARINT);
    at = wb_wire_put_varint(at, markers);
    *out = (wb_slice){made, (size_t)(at - made)};
    return WB_OK;
}
