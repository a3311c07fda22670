/* SPDX-License-Identifier: Apache-2.0 */
/* The origin of an origin is itself, and it is text of the origin's grammar. */
#include "a2a/target.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char once[WB_ORIGIN_MAX + 1], twice[WB_ORIGIN_MAX + 1];
    if (wb_origin_of(wb_slice_of(data, size), once) != WB_OK) return 0;
    WB_ASSERT(wb_origin_of(wb_slice_str(once), twice) == WB_OK);
    WB_ASSERT(strcmp(once, twice) == 0);
    for (const char *c = once; *c; c++)
        WB_ASSERT(*c > 0x20 && *c < 0x7F && !(*c >= 'A' && *c <= 'Z'));
    WB_ASSERT(wb_slice_starts(wb_slice_str(once), WB_S("http")));
    return 0;
}
