/* SPDX-License-Identifier: Apache-2.0 */
/* A slot that is taken is one that the writer would write: the same bytes again. The input is the slot
 * behind its CRC, which is made right here, or nothing would get through. */
#include "propagation/refusal.h"

#include "core/crc32c.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    uint8_t slot[WB_REFUSAL_SLOT_BYTES] = {0}, again[WB_REFUSAL_SLOT_BYTES], third[sizeof again];
    wb_refusal refusal, reread;
    if (size > sizeof slot - 4) size = sizeof slot - 4;
    memcpy(slot + 4, data, size);
    uint32_t crc = wb_crc32c(0, slot + 4, sizeof slot - 4);
    for (int i = 0; i < 4; i++) slot[i] = (uint8_t)(crc >> 8 * i);
    if (wb_refusal_parse(slot, &refusal) != WB_OK) return 0;
    wb_refusal_format(&refusal, again);
    WB_ASSERT(wb_refusal_parse(again, &reread) == WB_OK);
    WB_ASSERT(wb_slice_eq(refusal.code, reread.code) && wb_slice_eq(refusal.issuer, reread.issuer));
    WB_ASSERT(wb_slice_eq(refusal.detail, reread.detail) && refusal.time_ns == reread.time_ns);
    wb_refusal_format(&reread, third);
    WB_ASSERT(memcmp(again, third, sizeof third) == 0);
    return 0;
}
