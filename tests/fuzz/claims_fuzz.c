/* SPDX-License-Identifier: Apache-2.0 */
/* Claims that are read, written and read again say the same, and the second writing is the first's bytes:
 * the format is canonical. */
#include "propagation/claims.h"
#include "tests/fuzz/token_world.h"

enum { TEXT_LIMIT = 1 << 16 };

static bool read_claims(wb_slice text, wb_arena *arena, wb_claims *out)
{
    const wb_json *json = NULL;
    wb_token_code code;
    *out = (wb_claims){0};
    WB_ASSERT(wb_token_json(text, arena, &json, &code) == WB_OK);
    return code == WB_E_NONE && wb_claims_check(json, out) == WB_E_NONE;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    WB_AUTO_BUFFER text;
    WB_AUTO_BUFFER twice;
    wb_claims first, again;
    wb_arena *arena = fuzz_arena();
    (void)example_input(); /* libsodium is ready */
    wb_buffer_init(&text, TEXT_LIMIT);
    wb_buffer_init(&twice, TEXT_LIMIT);
    if (size > WB_PAYLOAD_MAX_BYTES || !read_claims(wb_slice_of(data, size), arena, &first))
        return 0;
    WB_ASSERT(wb_claims_format(&first, &text) == WB_OK);
    WB_ASSERT(read_claims(wb_buffer_slice(&text), arena, &again));
    assert_same_claims(&first, &again);
    WB_ASSERT(wb_claims_format(&again, &twice) == WB_OK);
    WB_ASSERT(wb_slice_eq(wb_buffer_slice(&text), wb_buffer_slice(&twice)));
    return 0;
}
