/* SPDX-License-Identifier: Apache-2.0 */
/* tests/support/wire_maker.h: protobuf bytes by hand, good and bad. All in the maker's arena. */
#ifndef WAYBILL_TESTS_SUPPORT_WIRE_MAKER_H
#define WAYBILL_TESTS_SUPPORT_WIRE_MAKER_H

#include "core/arena.h"
#include "core/slice.h"

typedef struct maker {
    wb_arena *arena;
} maker;

/** A field of any wire type; `bytes` is cut to what a number of that type takes. */
wb_slice make_raw(maker *m, uint32_t number, unsigned type, wb_slice bytes);
/** A length-delimited field. */
wb_slice make_len(maker *m, uint32_t number, wb_slice bytes);
wb_slice make_joined(maker *m, const wb_slice *parts, size_t n);
wb_slice make_fill(maker *m, size_t len, uint8_t byte);
wb_slice make_repeated(maker *m, wb_slice part, size_t times);
/** A name field (5) whose tag and length take three bytes each. */
wb_slice make_long_name(maker *m, wb_slice name);
/** An AnyValue that nests ArrayValues `levels` deep. */
wb_slice make_deep_value(maker *m, size_t levels);

/** A Span's two ids, good ones. */
wb_slice good_ids(maker *m);
/** A request of that one Span message. */
wb_slice in_envelope(maker *m, wb_slice span);
/** A request of one ScopeSpans message. */
wb_slice in_envelope_all(maker *m, wb_slice scope_spans);

#endif
