/* SPDX-License-Identifier: Apache-2.0 */
#include "sidecar/pipeline/convert.h"

#include <ctype.h>
#include <math.h>
#include <strings.h>

#include "core/json.h"
#include "core/number.h"
#include "core/rfc3339.h"
#include "proto/otlp_put.h"

enum { NUMBER_TEXT_MAX = 40, LIST_MAX = 64, REASON_MAX = 256, PROVIDER_MAX = 64 };

static const int64_t COUNT_MAX = INT64_C(1) << 53;
static const double MICROS_MAX = 1e15, MICRO = 1e6;

wb_status wb_convert_text(wb_value value, wb_arena *arena, wb_slice *out)
{
    if (value.type == WB_VALUE_TEXT && value.text.len > 0) {
        *out = value.text;
        return WB_OK;
    }
    if (value.type != WB_VALUE_INT) return WB_ERR_NOT_FOUND;
    const char *digits = wb_arena_printf(arena, "%lld", (long long)value.integer);
    if (!digits) return WB_ERR_NO_MEMORY;
    *out = wb_slice_str(digits);
    return WB_OK;
}

static size_t digits_at(wb_slice text, size_t at)
{
    size_t n = 0;
    while (at + n < text.len && isdigit(text.ptr[at + n])) n++;
    return n;
}

/* A number of RFC 8259 that is not negative. */
static bool is_number(wb_slice text)
{
    size_t at = digits_at(text, 0), n;
    if (text.len > NUMBER_TEXT_MAX || at == 0 || (text.ptr[0] == '0' && at > 1)) return false;
    if (at < text.len && text.ptr[at] == '.') {
        if ((n = digits_at(text, at + 1)) == 0) return false;
        at += 1 + n;
    }
    if (at < text.len && (text.ptr[at] == 'e' || text.ptr[at] == 'E')) {
        at++;
        if (at < text.len && (text.ptr[at] == '+' || text.ptr[at] == '-')) at++;
        if ((n = digits_at(text, at)) == 0) return false;
        at += n;
    }
    return at == text.len;
}

bool wb_convert_real(wb_value value, double *out)
{
    char room[NUMBER_TEXT_MAX + WB_NUMBER_MAX];
    double real;
    if (value.type == WB_VALUE_INT)
        real = (double)value.integer;
    else if (value.type == WB_VALUE_DOUBLE)
        real = value.real;
    else if (value.type != WB_VALUE_TEXT || !is_number(value.text) ||
             !wb_number_read(value.text, room, &real))
        return false;
    if (!isfinite(real) || real < 0) return false;
    *out = real;
    return true;
}

bool wb_convert_count(wb_value value, uint64_t *out)
{
    double real;
    if (value.type == WB_VALUE_INT) {
        *out = (uint64_t)value.integer;
        return value.integer >= 0 && value.integer <= COUNT_MAX;
    }
    if (!wb_convert_real(value, &real) || real > (double)COUNT_MAX || real != floor(real))
        return false;
    *out = (uint64_t)real;
    return true;
}

bool wb_convert_micros(wb_value value, int64_t *out)
{
    double real;
    if (!wb_convert_real(value, &real) || real * MICRO > MICROS_MAX) return false;
    *out = (int64_t)nearbyint(real * MICRO);
    return true;
}

bool wb_convert_since(wb_value value, wb_time_ns start, double *out)
{
    wb_time_ns at;
    if (value.type != WB_VALUE_TEXT) return false;
    wb_slice text = value.text;
    if (text.len > 2 && text.ptr[0] == '"' && text.ptr[text.len - 1] == '"')
        text = (wb_slice){text.ptr + 1, text.len - 2};
    if (!wb_rfc3339_parse(text, &at) || at < start || start == 0) return false;
    *out = (double)(at - start) / (double)WB_NS_PER_S;
    return true;
}

/* Three digits, those of an error, and no more. */
static wb_slice status_at(wb_slice text, size_t at)
{
    if (at >= text.len || digits_at(text, at) != 3) return (wb_slice){NULL, 0};
    if (text.ptr[at] != '4' && text.ptr[at] != '5') return (wb_slice){NULL, 0};
    if (at + 3 < text.len && text.ptr[at + 3] != ' ') return (wb_slice){NULL, 0};
    return (wb_slice){text.ptr + at, 3};
}

wb_slice wb_convert_http_status(wb_slice text)
{
    static const wb_slice said = {(const uint8_t *)"Error code: ", 12},
                          start = {(const uint8_t *)"Error: ", 7};
    const uint8_t *at = text.len > 0 ? memmem(text.ptr, text.len, said.ptr, said.len) : NULL;
    if (at) return status_at(text, (size_t)(at - text.ptr) + said.len);
    return status_at(text, wb_slice_starts(text, start) ? start.len : 0);
}

/* ---- lists ---- */

/* An ArrayValue of texts: values = 1, each an AnyValue with string_value = 1. */
static wb_status make_list(const wb_slice *texts, size_t n, wb_arena *arena, wb_value *out)
{
    size_t size = 0;
    for (size_t i = 0; i < n; i++)
        size += wb_otlp_field_size(1, wb_otlp_field_size(1, texts[i].len));
    uint8_t *bytes = wb_arena_alloc(arena, size), *at = bytes;
    if (!bytes) return WB_ERR_NO_MEMORY;
    for (size_t i = 0; i < n; i++) {
        at = wb_otlp_put_head(at, 1, wb_otlp_field_size(1, texts[i].len));
        at = wb_otlp_put_field(at, 1, texts[i]);
    }
    *out = (wb_value){.type = WB_VALUE_ARRAY, .bytes = {bytes, size}};
    return WB_OK;
}

/* The texts of a JSON array, or a JSON text alone; NOT_FOUND: it is neither, or has none. */
static wb_status texts_in(wb_slice json, wb_arena *arena, wb_slice texts[LIST_MAX], size_t *n)
{
    const wb_json_limits limits = {
        .depth = 1, .elements = LIST_MAX, .string_bytes = REASON_MAX, .any_value = true};
    const wb_json *root = NULL;
    wb_json_fault fault;
    WB_TRY(wb_json_parse(json, &limits, arena, &root, &fault));
    const wb_json *item = root && root->type == WB_JSON_ARRAY ? root->first : root;
    for (*n = 0; item; item = item->next) {
        if (item->type != WB_JSON_STRING || item->text.len == 0) return WB_ERR_NOT_FOUND;
        texts[(*n)++] = item->text;
    }
    return *n > 0 ? WB_OK : WB_ERR_NOT_FOUND;
}

wb_status wb_convert_list(wb_value value, wb_arena *arena, wb_value *out)
{
    wb_slice texts[LIST_MAX];
    size_t n = 1;
    if (value.type == WB_VALUE_ARRAY && value.bytes.len > 0) {
        *out = value;
        return WB_OK;
    }
    if (value.type != WB_VALUE_TEXT || value.text.len == 0) return WB_ERR_NOT_FOUND;
    if (value.text.ptr[0] == '[' || value.text.ptr[0] == '"')
        WB_TRY(texts_in(value.text, arena, texts, &n));
    else if (value.text.len > REASON_MAX)
        return WB_ERR_NOT_FOUND;
    else
        texts[0] = value.text;
    return make_list(texts, n, arena, out);
}

/* ---- providers ---- */

/* gen_ai.provider.name, and what others call it. */
static const char *const providers[][2] = {
    {"openai", "openai"},
    {"anthropic", "anthropic"},
    {"aws.bedrock", "aws.bedrock"},
    {"azure.ai.openai", "azure.ai.openai"},
    {"azure.ai.inference", "azure.ai.inference"},
    {"gcp.vertex_ai", "gcp.vertex_ai"},
    {"gcp.gemini", "gcp.gemini"},
    {"gcp.gen_ai", "gcp.gen_ai"},
    {"ibm.watsonx.ai", "ibm.watsonx.ai"},
    {"mistral_ai", "mistral_ai"},
    {"x_ai", "x_ai"},
    {"az.ai.openai", "azure.ai.openai"},
    {"az.ai.inference", "azure.ai.inference"},
    {"azure", "azure.ai.openai"},
    {"azure_openai", "azure.ai.openai"},
    {"azure-openai", "azure.ai.openai"},
    {"aws", "aws.bedrock"},
    {"bedrock", "aws.bedrock"},
    {"aws_bedrock", "aws.bedrock"},
    {"amazon-bedrock", "aws.bedrock"},
    {"vertex_ai", "gcp.vertex_ai"},
    {"vertexai", "gcp.vertex_ai"},
    {"google.vertex", "gcp.vertex_ai"},
    {"gemini", "gcp.gemini"},
    {"google.generative-ai", "gcp.gemini"},
    {"google", "gcp.gen_ai"},
    {"mistralai", "mistral_ai"},
    {"mistral", "mistral_ai"},
    {"xai", "x_ai"},
    {"moonshot", "moonshot_ai"},
    {"moonshotai", "moonshot_ai"},
    {"watsonx", "ibm.watsonx.ai"},
};

wb_slice wb_known_provider(wb_slice text)
{
    for (size_t i = 0; i < WB_COUNT(providers); i++)
        if (text.len == strlen(providers[i][0]) &&
            strncasecmp((const char *)text.ptr, providers[i][0], text.len) == 0)
            return wb_slice_str(providers[i][1]);
    return (wb_slice){NULL, 0};
}

wb_status wb_convert_provider(wb_slice text, wb_arena *arena, wb_slice *out)
{
    if (text.len == 0 || text.len > PROVIDER_MAX) return WB_ERR_NOT_FOUND;
    *out = wb_known_provider(text);
    for (size_t len = text.len; out->len == 0 && len > 0; len--)
        if (text.ptr[len - 1] == '.') *out = wb_known_provider((wb_slice){text.ptr, len - 1});
    if (out->len > 0) return WB_OK;
    uint8_t *lower = wb_arena_alloc(arena, text.len);
    if (!lower) return WB_ERR_NO_MEMORY;
    for (size_t i = 0; i < text.len; i++) lower[i] = (uint8_t)tolower(text.ptr[i]);
    *out = (wb_slice){lower, text.len};
    return WB_OK;
}

/* ---- objects ---- */

/* Large ones are not worth it: what is looked for stands in small ones, or is not worth the time. */
enum { OBJECT_BYTES_MAX = 256 * 1024 };

static wb_status read_object(wb_slice json, wb_arena *arena, const wb_json **root)
{
    static const wb_json_limits limits = {.depth = 32,
                                          .members = 256,
                                          .elements = 4096,
                                          .string_bytes = 1024,
                                          .any_number = true,
                                          .any_char = true,
                                          .count_excess = true};
    wb_json_fault fault;
    *root = NULL;
    if (json.len < 2 || json.ptr[0] != '{' || json.len > OBJECT_BYTES_MAX) return WB_OK;
    return wb_json_parse(json, &limits, arena, root, &fault);
}

wb_status wb_convert_member(wb_slice json, wb_slice name, wb_arena *arena, wb_slice *out)
{
    const wb_json *root;
    WB_TRY(read_object(json, arena, &root));
    const wb_json *found = wb_json_member(root, name);
    if (!found) found = wb_json_member(wb_json_member(root, WB_S("usage")), name);
    if (!found || found->type != WB_JSON_STRING || !found->text.ptr || found->text.len == 0)
        return WB_ERR_NOT_FOUND;
    *out = found->text;
    return WB_OK;
}

wb_status wb_cost_read(wb_slice json, wb_arena *arena, wb_cost_parts *out)
{
    static const char *const names[WB_COST_PARTS] = {"input", "output", "total"};
    const wb_json *root;
    WB_TRY(read_object(json, arena, &root));
    for (int i = 0; i < WB_COST_PARTS; i++) {
        const wb_json *found = wb_json_member(root, wb_slice_str(names[i]));
        if (!found) continue;
        wb_value value = {.type = WB_VALUE_EMPTY};
        if (found->type == WB_JSON_INT)
            value = (wb_value){.type = WB_VALUE_INT, .integer = (int64_t)found->number};
        else if (found->type == WB_JSON_REAL)
            value = (wb_value){.type = WB_VALUE_TEXT, .text = found->text};
        out->has[i] = wb_convert_micros(value, &out->micros[i]);
    }
    return WB_OK;
}
