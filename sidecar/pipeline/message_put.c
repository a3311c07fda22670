/* SPDX-License-Identifier: Apache-2.0 */
#include "sidecar/pipeline/message_put.h"

wb_status wb_put(wb_buffer *out, const char *text)
{
    return wb_buffer_add(out, text, strlen(text));
}

wb_status wb_put_comma(wb_buffer *out)
{
    uint8_t last = out->len > 0 ? out->ptr[out->len - 1] : '[';
    return last == '[' || last == '{' ? WB_OK : wb_put(out, ",");
}

static wb_status put_name(wb_buffer *out, const char *name)
{
    WB_TRY(wb_put_comma(out));
    WB_TRY(wb_json_add_string(out, wb_slice_str(name)));
    return wb_put(out, ":");
}

/* ---- values ---- */

static wb_status put_children(wb_buffer *out, const wb_json *parent)
{
    for (const wb_json *child = parent->first; child; child = child->next) {
        if (child != parent->first) WB_TRY(wb_put(out, ","));
        if (parent->type == WB_JSON_OBJECT) {
            WB_TRY(wb_json_add_string(out, child->name));
            WB_TRY(wb_put(out, ":"));
        }
        WB_TRY(wb_put_json(out, child));
    }
    return WB_OK;
}

wb_status wb_put_json(wb_buffer *out, const wb_json *value)
{
    switch (value->type) {
    case WB_JSON_NULL: return wb_put(out, "null");
    case WB_JSON_BOOL: return wb_put(out, value->truth ? "true" : "false");
    case WB_JSON_INT: return wb_buffer_printf(out, "%llu", (unsigned long long)value->number);
    case WB_JSON_REAL: return wb_buffer_add_slice(out, value->text);
    case WB_JSON_STRING: return wb_json_add_string(out, value->text);
    case WB_JSON_ARRAY:
    case WB_JSON_OBJECT: break;
    }
    bool object = value->type == WB_JSON_OBJECT;
    WB_TRY(wb_put(out, object ? "{" : "["));
    WB_TRY(put_children(out, value));
    return wb_put(out, object ? "}" : "]");
}

wb_status wb_put_member(wb_buffer *out, const char *name, wb_slice text)
{
    if (text.len == 0) return WB_OK;
    WB_TRY(put_name(out, name));
    return wb_json_add_string(out, text);
}

wb_status wb_put_member_json(wb_buffer *out, const char *name, const wb_json *value)
{
    if (!value || value->type == WB_JSON_NULL) return WB_OK;
    if (value->type == WB_JSON_STRING && value->text.len == 0) return WB_OK;
    WB_TRY(put_name(out, name));
    return wb_put_json(out, value);
}

/* ---- messages ---- */

wb_status wb_put_message(wb_buffer *out, wb_slice role)
{
    WB_TRY(wb_put_comma(out));
    WB_TRY(wb_put(out, "{"));
    WB_TRY(wb_put_member(out, "role", role));
    WB_TRY(put_name(out, "parts"));
    return wb_put(out, "[");
}

wb_status wb_put_message_end(wb_buffer *out, wb_slice finish_reason)
{
    WB_TRY(wb_put(out, "]"));
    WB_TRY(wb_put_member(out, "finish_reason", finish_reason));
    return wb_put(out, "}");
}

static wb_status put_part(wb_buffer *out, const char *type)
{
    WB_TRY(wb_put_comma(out));
    WB_TRY(wb_put(out, "{"));
    return wb_put_member(out, "type", wb_slice_str(type));
}

wb_status wb_put_text_part(wb_buffer *out, const char *type, wb_slice content)
{
    if (content.len == 0) return WB_OK;
    WB_TRY(put_part(out, type));
    WB_TRY(wb_put_member(out, "content", content));
    return wb_put(out, "}");
}

wb_status wb_put_uri_part(wb_buffer *out, const char *modality, wb_slice uri)
{
    WB_TRY(put_part(out, "uri"));
    WB_TRY(wb_put_member(out, "modality", wb_slice_str(modality)));
    WB_TRY(wb_put_member(out, "uri", uri));
    return wb_put(out, "}");
}

wb_status wb_put_call_part(wb_buffer *out, wb_slice id, wb_slice name, const wb_json *arguments)
{
    WB_TRY(put_part(out, "tool_call"));
    WB_TRY(wb_put_member(out, "id", id));
    WB_TRY(wb_put_member(out, "name", name));
    WB_TRY(wb_put_member_json(out, "arguments", arguments));
    return wb_put(out, "}");
}

wb_status wb_put_response_part(wb_buffer *out, wb_slice id, const wb_json *response)
{
    WB_TRY(put_part(out, "tool_call_response"));
    WB_TRY(wb_put_member(out, "id", id));
    WB_TRY(wb_put_member_json(out, "response", response));
    return wb_put(out, "}");
}

/* ---- tools ---- */

wb_status wb_put_tool(wb_buffer *out, wb_slice type, wb_slice name, wb_slice description,
                      const wb_json *parameters)
{
    WB_TRY(put_part(out, ""));
    WB_TRY(wb_put_member(out, "type", type.len > 0 ? type : WB_S("function")));
    WB_TRY(wb_put_member(out, "name", name));
    WB_TRY(wb_put_member(out, "description", description));
    WB_TRY(wb_put_member_json(out, "parameters", parameters));
    return wb_put(out, "}");
}
