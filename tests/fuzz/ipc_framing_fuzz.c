/* SPDX-License-Identifier: Apache-2.0 */
/* The input is what a client sends, read as sidecar/receivers/ipc.c does, until it is refused or ends. No
 * message is longer than the limit or than what is there, and each one's head written anew is the head
 * that came. */
#include "sidecar/receivers/framing.h"

#include "core/status.h"

enum { LIMIT = 4096 };

static wb_slice take(wb_slice *rest, size_t len)
{
    wb_slice taken = {rest->ptr, len};
    *rest = (wb_slice){rest->ptr + len, rest->len - len};
    return taken;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    wb_slice rest = {data, size};
    if (rest.len < WB_FRAMING_HANDSHAKE) return 0;
    if (wb_framing_check_handshake(take(&rest, WB_FRAMING_HANDSHAKE).ptr)) return 0;
    while (rest.len >= WB_FRAMING_HEAD) {
        uint8_t again[WB_FRAMING_HEAD];
        uint64_t len = UINT64_MAX;
        wb_slice head = take(&rest, WB_FRAMING_HEAD);
        const char *fault = wb_framing_read_head(head.ptr, LIMIT, &len);
        WB_ASSERT((len == UINT64_MAX) == (fault != NULL));
        if (fault) return 0;
        WB_ASSERT(len >= WB_FRAMING_REQUEST_ID && len <= LIMIT);
        wb_framing_put_head(len, again);
        WB_ASSERT(memcmp(head.ptr, again, sizeof again) == 0);
        if (rest.len < len || wb_framing_check_message(take(&rest, (size_t)len).ptr)) return 0;
    }
    return 0;
}
