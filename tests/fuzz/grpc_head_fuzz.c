/* SPDX-License-Identifier: Apache-2.0 */
/* The input is the fields of a request, one "name: value" a line. A head that is taken has all that a request
 * needs; a timeout is read as a slower reader reads it; a request with more bytes than the limit is
 * never taken. */
#include "sidecar/receivers/otlp/grpc_head.h"

#include "core/status.h"

enum { LIMIT = 512 };

/* By the grammar: 1 to 8 digits, then one unit. */
static bool slow_timeout(wb_slice text, long double *ns)
{
    static const char units[] = "HMSmun";
    static const long double each[] = {3600e9L, 60e9L, 1e9L, 1e6L, 1e3L, 1};
    long double value = 0;
    if (text.len < 2 || text.len > 9) return false;
    for (size_t i = 0; i + 1 < text.len; i++) {
        if (!memchr("0123456789", text.ptr[i], 10)) return false;
        value = value * 10 + (text.ptr[i] - '0');
    }
    const char *unit = memchr(units, text.ptr[text.len - 1], sizeof units - 1);
    if (unit) *ns = value * each[unit - units];
    return unit != NULL;
}

static void check_timeout(wb_slice text)
{
    uint64_t ns = 0;
    long double slow = 0;
    bool is_one = wb_grpc_timeout_parse(text, &ns);
    WB_ASSERT(is_one == slow_timeout(text, &slow));
    if (!is_one) return;
    if (slow > WB_GRPC_TIMEOUT_MAX_NS) slow = WB_GRPC_TIMEOUT_MAX_NS;
    WB_ASSERT(ns == (uint64_t)slow);
}

static void check(const wb_grpc_head *head)
{
    const wb_grpc_refusal *refusal = wb_grpc_head_check_form(head, LIMIT);
    if (!refusal) refusal = wb_grpc_head_check(head);
    WB_ASSERT(!refusal || refusal->http > 0 || refusal->code != WB_GRPC_OK);
    if (refusal) return;
    WB_ASSERT(head->is_post && head->is_grpc && head->is_known && head->bytes <= LIMIT);
    WB_ASSERT(head->encoding != WB_GRPC_UNKNOWN_ENCODING && !head->bad_timeout);
    WB_ASSERT((unsigned)head->signal < WB_SIGNALS);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    wb_grpc_head head = {.bytes = 0};
    size_t bytes = 0;
    for (size_t at = 0; at < size;) {
        const uint8_t *line = data + at, *end = memchr(line, '\n', size - at);
        size_t len = end ? (size_t)(end - line) : size - at;
        size_t name = 0;
        while (name + 1 < len && !(name > 0 && line[name] == ':' && line[name + 1] == ' ')) name++;
        bool has_value = name + 1 < len;
        wb_slice value = has_value ? wb_slice_of(line + name + 2, len - name - 2) : WB_S("");
        if (!has_value) name = len;
        wb_grpc_head_take(&head, wb_slice_of(line, name), value);
        check_timeout(value);
        bytes += name + value.len + 32;
        at += len + 1;
    }
    WB_ASSERT(head.bytes == bytes);
    check(&head);
    return 0;
}
