/* SPDX-License-Identifier: Apache-2.0 */
/* A digest is of what parts mean: written in their canonical form they have the same one, or none for the
 * same reason, in every dialect. */
#include "client/digest.h"
#include "core/jcs.h"

enum { LARGEST = 1 << 16, LIMIT = 1 << 23 };

static const uint8_t salt[WB_SALT_LEN] = {1};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size > LARGEST) return 0;
    WB_AUTO(wb_arena) arena = wb_arena_new(LIMIT);
    WB_AUTO_BUFFER form;
    WB_ASSERT(arena);
    wb_buffer_init(&form, 6 * size);
    bool has_form = wb_jcs_format(wb_slice_of(data, size), arena, &form, NULL) == WB_OK;
    for (wb_a2a_dialect dialect = WB_A2A_1_0; dialect <= WB_A2A_0_3_HTTP; dialect++) {
        uint8_t first[WB_BODY_DIGEST_LEN] = {0}, again[WB_BODY_DIGEST_LEN] = {0};
        wb_error why = {0}, why_again = {0};
        wb_status st =
            wb_body_digest_of_json(salt, dialect, wb_slice_of(data, size), LIMIT, first, &why);
        WB_ASSERT(st == WB_OK || st == WB_ERR_MALFORMED);
        if (!has_form)
            continue; /* a number beyond doubles that nobody hashes, or one level too many */
        WB_ASSERT(wb_body_digest_of_json(salt, dialect, wb_buffer_slice(&form), LIMIT, again,
                                         &why_again) == st);
        WB_ASSERT(memcmp(first, again, sizeof first) == 0);
        WB_ASSERT(strcmp(why.detail, why_again.detail) == 0);
    }
    return 0;
}
