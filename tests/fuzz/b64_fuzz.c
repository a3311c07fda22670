/* SPDX-License-Identifier: Apache-2.0 */
/* One spelling per value: what decodes is exactly what encoding its bytes gives; and any bytes come
 * back as they went. */
#include "propagation/b64url.h"
#include "propagation/ed25519.h"

enum { MAX_BYTES = 4096 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static bool ready;
    uint8_t bytes[MAX_BYTES];
    char text[WB_B64URL_LEN(MAX_BYTES) + 1];
    size_t len = 0;
    if (!ready) WB_ASSERT(wb_self_test(NULL) == WB_OK);
    ready = true;
    if (wb_b64url_parse(wb_slice_of(data, size), bytes, sizeof bytes, &len) == WB_OK) {
        wb_b64url_format(wb_slice_of(bytes, len), text);
        WB_ASSERT(wb_slice_eq(wb_slice_of(data, size), wb_slice_str(text)));
    }
    if (size > MAX_BYTES) return 0;
    wb_b64url_format(wb_slice_of(data, size), text);
    WB_ASSERT(wb_b64url_parse_exact(wb_slice_str(text), bytes, size) == WB_OK);
    WB_ASSERT(size == 0 || memcmp(bytes, data, size) == 0);
    return 0;
}
