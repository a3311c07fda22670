/* SPDX-License-Identifier: Apache-2.0 */
/* A link is read the same way twice, and only the example's own bytes ever continue its trace, whether
 * the changed link stands as leaf, as ancestor or alone. */
#include "tests/fuzz/token_world.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    wb_slice link = wb_slice_of(data, size);
    const wb_chain *example = &example_input()->chain;
    wb_arena *arena = fuzz_arena();
    wb_token first, again;
    wb_token_code code, code_again;
    WB_ASSERT(wb_token_parse(link, arena, &first, &code) == WB_OK);
    WB_ASSERT(wb_token_parse(link, arena, &again, &code_again) == WB_OK);
    WB_ASSERT(code == code_again);
    if (code == WB_E_NONE) {
        assert_same_claims(&first.claims, &again.claims);
        WB_ASSERT(size <= WB_LINK_MAX_BYTES);
    }
    assert_only_the_example_continues(&(wb_chain){{example->links[0], link}, 2});
    assert_only_the_example_continues(&(wb_chain){{link, example->links[1]}, 2});
    assert_only_the_example_continues(&(wb_chain){{link}, 1});
    return 0;
}
