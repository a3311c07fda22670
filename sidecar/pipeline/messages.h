/* SPDX-License-Identifier: Apache-2.0 */
/* sidecar/pipeline/messages.h: messages, tools and arguments in a vendor's JSON, as the canonical model has them.
 * Pure but for arena and room; one thread at a time. What is written is written in the room, whose limit says how
 * large it may become, and copied into the arena; what stood in the room is gone. Limits come before memory: JSON
 * of more than WB_MESSAGES_JSON_MAX bytes is not read as such; what would be larger than the room, or takes more
 * than the arena has, is NO_MEMORY. */
#ifndef WAYBILL_SIDECAR_PIPELINE_MESSAGES_H
#define WAYBILL_SIDECAR_PIPELINE_MESSAGES_H

#include "core/arena.h"
#include "core/json.h"
#include "proto/otlp_read.h"

enum { WB_MESSAGES_JSON_MAX = 1024 * 1024 };

/** A JSON value, of any shape within the limits; NULL: it is none.
 *  Errors  NO_MEMORY */
WB_MUST_USE wb_status wb_messages_parse(wb_slice text, wb_arena *arena, const wb_json **root);

/** Messages ([{role, parts}], message_put.h) from the JSON that OpenAI's, Anthropic's and the AI SDK's clients
 *  send and receive: an array of messages, one message, a request, an answer. What is none of these is the text
 *  of one message of `role`; so is plain text.
 *  json    `text` itself if it is right already; else in the arena
 *  Errors  NOT_FOUND there is no text | NO_MEMORY */
WB_MUST_USE wb_status wb_messages_read(wb_slice text, wb_slice role, wb_buffer *room,
                                       wb_arena *arena, wb_slice *json);

/** The AI SDK's answer, whose parts are attributes of the span: `ai.response.text`, `.reasoning`, `.object`,
 *  `.toolCalls`. Errors NOT_FOUND there is none of them | NO_MEMORY */
WB_MUST_USE wb_status wb_messages_of_answer(wb_slice span_message, wb_buffer *room, wb_arena *arena,
                                            wb_slice *json);

/** The tools in a request, an array of tools, or an ArrayValue of JSON texts, as [{type, name, description,
 *  parameters}]. Errors NOT_FOUND there are none | NO_MEMORY */
WB_MUST_USE wb_status wb_tools_read(wb_value value, wb_buffer *room, wb_arena *arena,
                                    wb_slice *json);
/** One tool, written to `out`. */
WB_MUST_USE wb_status wb_tools_put(wb_buffer *out, const wb_json *tool);

/** What a decorated function was called with: of {"args": [], "kwargs": {...}} the one that is not empty. Any
 *  other text, and one in which both have something, is as it was. Errors NO_MEMORY */
WB_MUST_USE wb_status wb_arguments_read(wb_slice text, wb_buffer *room, wb_arena *arena,
                                        wb_slice *json);

#endif
