/* SPDX-License-Identifier: Apache-2.0 */
/* tests/support/otlp_sample.h: ExportTraceServiceRequests to test and measure with, packed by
 * protobuf-c and never by the code under test. */
#ifndef WAYBILL_TESTS_SUPPORT_OTLP_SAMPLE_H
#define WAYBILL_TESTS_SUPPORT_OTLP_SAMPLE_H

#include "core/arena.h"
#include "core/slice.h"

enum { WB_SAMPLE_SPAN_BYTES = 555, WB_SAMPLE_SPAN_ATTRS = 12 };

/** `spans` spans as an LLM call leaves them, of 555 bytes and 12 attributes each, under one
 *  resource and scope, as exporters batch them. Ids differ from span to span and with `seed`. In
 *  the arena. */
wb_slice wb_sample_llm_spans(size_t spans, uint64_t seed, wb_arena *arena);

/** A random request: any mixture of resources, scopes, spans, events, links and nested values. With
 *  `hostile`, some ids have wrong lengths or are zero and some text is not UTF-8. In the arena. */
wb_slice wb_sample_random(uint64_t seed, bool hostile, wb_arena *arena);

/** The next number of a sequence that its seed decides; never 0 twice in a row (splitmix64). */
uint64_t wb_sample_next(uint64_t *state);

#endif
