/* SPDX-License-Identifier: Apache-2.0 */
/* What an agent in C hands over as it came: a traceparent header and a carrier. A traceparent that is read is
 * written as it was read; a salt is found in the same carrier each time. */
#include "core/status.h"
#include "include/waybill/waybill.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_traceparent(const char *text)
{
    waybill_context first, again;
    char written[WAYBILL_TRACEPARENT_LEN + 1];
    if (!waybill_context_parse(text, NULL, &first)) return;
    waybill_context_format(&first, written);
    WB_ASSERT(waybill_context_parse(written, NULL, &again));
    WB_ASSERT(memcmp(first.trace_id, again.trace_id, sizeof first.trace_id) == 0);
    WB_ASSERT(memcmp(first.span_id, again.span_id, sizeof first.span_id) == 0);
    WB_ASSERT(first.flags == again.flags);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    uint8_t salt[WAYBILL_SALT_BYTES], again[WAYBILL_SALT_BYTES];
    char *text = malloc(size + 1);
    if (!text) return 0;
    memcpy(text, data, size);
    text[size] = '\0';
    check_traceparent(text);
    if (waybill_carrier_salt(text, size, salt)) {
        WB_ASSERT(waybill_carrier_salt(text, size, again));
        WB_ASSERT(memcmp(salt, again, sizeof salt) == 0);
    }
    free(text);
    return 0;
}
