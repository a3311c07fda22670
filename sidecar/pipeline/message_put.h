/* SPDX-License-Identifier: Apache-2.0 */
/* sidecar/pipeline/message_put.h: messages as the canonical model has them, written piece by piece.
 *
 * A message is {"role", "parts": [...], "finish_reason"}; a part has a type: text, reasoning, tool_call
 * {"id", "name", "arguments"}, tool_call_response {"id", "response"}, uri {"modality", "uri"}. Members that
 * are empty are left out. Each call puts the comma that it needs before itself: the buffer begins with `[`.
 * Source: OpenTelemetry's gen-ai-input-messages.json and gen-ai-tool-definitions.json. Errors: NO_MEMORY at the
 * buffer's limit; what is in it then is of no use. */
#ifndef WAYBILL_SIDECAR_PIPELINE_MESSAGE_PUT_H
#define WAYBILL_SIDECAR_PIPELINE_MESSAGE_PUT_H

#include "core/buffer.h"
#include "core/json.h"

/** The text as a JSON value. */
static inline wb_json wb_json_text(wb_slice text)
{
    return (wb_json){.type = WB_JSON_STRING, .text = text};
}

WB_MUST_USE wb_status wb_put(wb_buffer *out, const char *text);
/** A comma, unless an array or object begins here. */
WB_MUST_USE wb_status wb_put_comma(wb_buffer *out);
/** A value as it was read; its depth is what the reader's limits let through. */
WB_MUST_USE wb_status wb_put_json(wb_buffer *out, const wb_json *value);
/** `"name":"text"`; nothing if the text is empty. */
WB_MUST_USE wb_status wb_put_member(wb_buffer *out, const char *name, wb_slice text);
/** The same with any value; nothing if it is NULL, null or an empty text. */
WB_MUST_USE wb_status wb_put_member_json(wb_buffer *out, const char *name, const wb_json *value);

/** Behind it come parts, then wb_put_message_end. */
WB_MUST_USE wb_status wb_put_message(wb_buffer *out, wb_slice role);
WB_MUST_USE wb_status wb_put_message_end(wb_buffer *out, wb_slice finish_reason);

/** `type`: text or reasoning; nothing if the content is empty. */
WB_MUST_USE wb_status wb_put_text_part(wb_buffer *out, const char *type, wb_slice content);
WB_MUST_USE wb_status wb_put_uri_part(wb_buffer *out, const char *modality, wb_slice uri);
/** What is NULL is left out. */
WB_MUST_USE wb_status wb_put_call_part(wb_buffer *out, wb_slice id, wb_slice name,
                                       const wb_json *arguments);
WB_MUST_USE wb_status wb_put_response_part(wb_buffer *out, wb_slice id, const wb_json *response);

/** A tool that a model is offered: {"type", "name", "description", "parameters"}. */
WB_MUST_USE wb_status wb_put_tool(wb_buffer *out, wb_slice type, wb_slice name,
                                  wb_slice description, const wb_json *parameters);

#endif
