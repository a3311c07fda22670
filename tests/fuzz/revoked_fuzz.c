/* SPDX-License-Identifier: Apache-2.0 */
/* A list that is read says of each of its lines that it is revoked from its moment on, and written line by
 * line it reads as the same list. */
#include "propagation/revoked.h"

#include "core/buffer.h"

#include <stdio.h>

static bool in_force(const wb_revoked *revoked, const wb_revocation *line, uint64_t now_s)
{
    uint8_t hash[WB_HASH_BYTES];
    if (line->kind == WB_REVOKED_ISS) return wb_revoked_iss(revoked, line->value, now_s);
    if (line->kind == WB_REVOKED_KID) return wb_revoked_kid(revoked, line->value, now_s);
    WB_ASSERT(wb_b64url_parse_exact(line->value, hash, sizeof hash) == WB_OK);
    return wb_revoked_tth(revoked, hash, now_s);
}

static void write_line(const wb_revocation *line, wb_buffer *out)
{
    char head[8], tail[32];
    (void)snprintf(head, sizeof head, "%s ", wb_revoked_kind_name(line->kind));
    (void)snprintf(tail, sizeof tail, " %llu\n", (unsigned long long)line->from_s);
    WB_ASSERT(wb_buffer_add_slice(out, wb_slice_str(head)) == WB_OK);
    WB_ASSERT(wb_buffer_add_slice(out, line->value) == WB_OK);
    WB_ASSERT(wb_buffer_add_slice(out, wb_slice_str(tail)) == WB_OK);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    WB_AUTO(wb_revoked) revoked = NULL;
    WB_AUTO(wb_revoked) again = NULL;
    WB_AUTO_BUFFER text;
    wb_buffer_init(&text, 2 * WB_REVOKED_MAX_BYTES);
    if (wb_revoked_parse(wb_slice_of(data, size), &revoked, NULL) != WB_OK) return 0;
    size_t n = wb_revoked_count(revoked);
    WB_ASSERT(n <= WB_REVOKED_MAX_LINES);
    for (size_t i = 0; i < n; i++) {
        wb_revocation line = wb_revoked_at(revoked, i);
        WB_ASSERT(in_force(revoked, &line, line.from_s) && in_force(revoked, &line, UINT64_MAX));
        write_line(&line, &text);
    }
    WB_ASSERT(wb_revoked_parse(wb_buffer_slice(&text), &again, NULL) == WB_OK);
    WB_ASSERT(wb_revoked_count(again) == n);
    for (size_t i = 0; i < n; i++) {
        wb_revocation a = wb_revoked_at(revoked, i), b = wb_revoked_at(again, i);
        WB_ASSERT(a.kind == b.kind && a.from_s == b.from_s && wb_slice_eq(a.value, b.value));
    }
    return 0;
}
