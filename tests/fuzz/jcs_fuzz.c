/* SPDX-License-Identifier: Apache-2.0 */
/* A canonical form is its own canonical form; it is at most six times as long as the text, and the memory
 * for it is bounded by the text's length. */
#include "core/jcs.h"

enum { LARGEST = 1 << 16, ARENA_LIMIT = 1 << 23 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size > LARGEST) return 0;
    WB_AUTO(wb_arena) arena = wb_arena_new(ARENA_LIMIT);
    WB_AUTO_BUFFER once;
    WB_AUTO_BUFFER twice;
    WB_ASSERT(arena);
    wb_buffer_init(&once, 6 * size);
    wb_buffer_init(&twice, 6 * size);
    wb_status st = wb_jcs_format(wb_slice_of(data, size), arena, &once, NULL);
    WB_ASSERT(wb_arena_used(arena) <= 48 * size + (WB_JCS_DEPTH + 2) * sizeof(wb_json));
    WB_ASSERT(st == WB_OK || st == WB_ERR_MALFORMED);
    if (st != WB_OK) return 0;
    wb_arena_reset(arena);
    WB_ASSERT(wb_jcs_format(wb_buffer_slice(&once), arena, &twice, NULL) == WB_OK);
    WB_ASSERT(wb_slice_eq(wb_buffer_slice(&once), wb_buffer_slice(&twice)));
    return 0;
}
