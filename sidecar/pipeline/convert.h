/* SPDX-License-Identifier: Apache-2.0 */
/* sidecar/pipeline/convert.h: values of other conventions as those of the canonical model. Pure but for the
 * arena; one thread at a time. What cannot be converted is left out (false, NOT_FOUND), never guessed.
 * Those that take room from the arena say NO_MEMORY at its limit. */
#ifndef WAYBILL_SIDECAR_PIPELINE_CONVERT_H
#define WAYBILL_SIDECAR_PIPELINE_CONVERT_H

#include "core/arena.h"
#include "core/clock.h"
#include "proto/otlp_read.h"

/** Text that is not empty; of an integer its digits, in the arena. */
WB_MUST_USE wb_status wb_convert_text(wb_value value, wb_arena *arena, wb_slice *out);

/** An integer that is not negative, a double without a fraction, or either as text; at most 2^53. */
bool wb_convert_count(wb_value value, uint64_t *out);

/** A price as millionths, rounded half to even; not negative, at most 10^15 of them. */
bool wb_convert_micros(wb_value value, int64_t *out);

/** The HTTP status in what the clients of OpenAI and Anthropic say of a refusal: `Error code: 404 - ...` anywhere, or
 *  `404 ...` at the start, also behind `Error: `. Within `text`; empty if there is none. */
wb_slice wb_convert_http_status(wb_slice text);

/** A number, as a double; finite and not negative. */
bool wb_convert_real(wb_value value, double *out);

/** Seconds from `start` to a date and time, which may stand in quotes; not negative. */
bool wb_convert_since(wb_value value, wb_time_ns start, double *out);

/** An array as it is; text of at most 256 bytes, or a JSON array of up to 64 such texts, as an ArrayValue of texts in
 *  the arena. */
WB_MUST_USE wb_status wb_convert_list(wb_value value, wb_arena *arena, wb_value *out);

/** What OpenTelemetry calls the provider of that name, in any case; an empty slice if it has no other word for
 *  it. Static. */
wb_slice wb_known_provider(wb_slice text);
/** A provider in OpenTelemetry's spelling, also of an AI SDK's id that has more parts (`openai.chat`): static;
 *  of an unknown one its text in lower case, in the arena. */
WB_MUST_USE wb_status wb_convert_provider(wb_slice text, wb_arena *arena, wb_slice *out);

/** The text of a member of a JSON object of at most 256 KiB, else of its member `usage`. NOT_FOUND also for what is no object. */
WB_MUST_USE wb_status wb_convert_member(wb_slice json, wb_slice name, wb_arena *arena,
                                        wb_slice *out);

typedef enum wb_cost_part {
    WB_COST_INPUT,
    WB_COST_OUTPUT,
    WB_COST_TOTAL,
    WB_COST_PARTS
} wb_cost_part;

typedef struct wb_cost_parts {
    int64_t micros[WB_COST_PARTS];
    bool has[WB_COST_PARTS];
} wb_cost_parts;

/** The prices in a JSON object that has members `input`, `output`, `total`. Of text that is none *out is as it
 *  was. Errors NO_MEMORY */
WB_MUST_USE wb_status wb_cost_read(wb_slice json, wb_arena *arena, wb_cost_parts *out);

#endif
