/* SPDX-License-Identifier: Apache-2.0 */
/* A carrier that is read, written and read again is the same; and whatever it carries, only the
 * example's own links continue. */
#include "a2a/carrier.h"
#include "tests/fuzz/token_world.h"

enum { TEXT_LIMIT = 1 << 20 };

static bool whole(const wb_chain *chain)
{
    for (size_t i = 0; i < chain->n; i++)
        if (i >= WB_CHAIN_MAX_LINKS || chain->links[i].len > WB_LINK_MAX_BYTES) return false;
    return true;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    WB_AUTO_BUFFER text;
    wb_carrier first, again;
    wb_token_code code;
    wb_arena *arena = fuzz_arena();
    (void)example_input(); /* libsodium is ready */
    wb_buffer_init(&text, TEXT_LIMIT);
    WB_ASSERT(wb_carrier_parse(wb_slice_of(data, size), arena, &first, &code) == WB_OK);
    if (code != WB_E_NONE) return 0;
    assert_only_the_example_continues(&first.chain);
    if (!whole(&first.chain)) return 0;
    WB_ASSERT(wb_carrier_format(&first, &text) == WB_OK);
    WB_ASSERT(wb_carrier_parse(wb_buffer_slice(&text), arena, &again, &code) == WB_OK);
    WB_ASSERT(code == WB_E_NONE && again.chain.n == first.chain.n);
    WB_ASSERT(memcmp(first.salt, again.salt, sizeof first.salt) == 0);
    for (size_t i = 0; i < first.chain.n; i++)
        WB_ASSERT(wb_slice_eq(first.chain.links[i], again.chain.links[i]));
    return 0;
}
