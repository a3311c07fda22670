/* SPDX-License-Identifier: Apache-2.0 */
/* sidecar/pipeline/regroup.h: arrays that came in parts, one attribute for each leaf, as one JSON text. */
#ifndef WAYBILL_SIDECAR_PIPELINE_REGROUP_H
#define WAYBILL_SIDECAR_PIPELINE_REGROUP_H

#include "core/arena.h"
#include "core/buffer.h"

enum {
    WB_REGROUP_ITEMS_MAX = 256, /* messages or tools; those behind are left out */
    WB_REGROUP_CALLS_MAX = 32,  /* tool calls of a message */
};

/** Messages (WB_CANON_MESSAGES_INPUT, _OUTPUT: OpenTelemetry's form, [{role, parts: [...], finish_reason}]) or
 *  tools (WB_CANON_TOOL_DEFINITIONS) from attributes whose keys have an index (`llm.input_messages.0.message.role`,
 *  `gen_ai.prompt.0.content` ...), in the order of their indexes.
 *  json    in the arena; empty if there is nothing to say, or it would be larger than the room, which it
 *          is written in first
 *  Errors  NO_MEMORY arena limit */
WB_MUST_USE wb_status wb_regroup(wb_slice span_message, uint8_t field, wb_buffer *room,
                                 wb_arena *arena, wb_slice *json);

#endif
