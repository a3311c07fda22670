/* SPDX-License-Identifier: Apache-2.0 */
/* A body that was found lies within the answer, behind an empty line, and is what Content-Length says
 * whatever is appended. */
#include "cli/http_get.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    int code, again;
    wb_slice body, same;
    if (wb_http_parse(wb_slice_of(data, size), &code, &body) != WB_OK) return 0;
    WB_ASSERT(code >= 100 && code <= 999);
    WB_ASSERT(body.ptr >= data + 4 && body.ptr + body.len <= data + size);
    WB_ASSERT(memcmp(body.ptr - 4, "\r\n\r\n", 4) == 0);
    size_t used = (size_t)(body.ptr - data) + body.len;
    uint8_t *copy = malloc(used + 1); /* one byte: malloc(0) may be NULL */
    if (!copy) return 0;
    memcpy(copy, data, used);
    WB_ASSERT(wb_http_parse(wb_slice_of(copy, used), &again, &same) == WB_OK);
    WB_ASSERT(again == code && wb_slice_eq(body, same));
    free(copy);
    return 0;
}
