/* SPDX-License-Identifier: Apache-2.0 */
/* A header that somebody wrote, as in a file or, percent-encoded, in a variable: what is taken is one line
 * with a name and a value, and nothing that ends it. */
#include "exporters/otlp/settings.h"

enum { ARENA_BYTES = 1 << 20 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    WB_AUTO(wb_arena) arena = wb_arena_new(ARENA_BYTES);
    wb_otlp_headers headers = {0};
    wb_error err = {0};
    if (size == 0 || size > 4096) return 0;
    WB_ASSERT(arena);
    wb_status status =
        wb_otlp_header_add(&headers, wb_slice_of(data + 1, size - 1), data[0] & 1, arena, &err);
    WB_ASSERT(status == WB_OK || (status == WB_ERR_CONFIG && err.detail[0] != '\0'));
    WB_ASSERT(headers.n == (status == WB_OK));
    if (status != WB_OK) return 0;
    const char *line = headers.lines[0], *colon = strstr(line, ": ");
    WB_ASSERT(colon && colon > line && colon[2] != '\0');
    for (; *line; line++) WB_ASSERT(((uint8_t)*line >= 0x20 || *line == '\t') && *line != 0x7F);
    return 0;
}
