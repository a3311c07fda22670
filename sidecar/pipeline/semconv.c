/* SPDX-License-Identifier: Apache-2.0 */
#include "sidecar/pipeline/semconv.h"

#include "core/status.h"

#define S(text)                                                                                    \
    {                                                                                              \
        (const uint8_t *)(text), sizeof(text) - 1                                                  \
    }

typedef struct semconv_field {
    wb_slice attribute;
} semconv_field;

typedef struct rule_range {
    uint16_t first, count;
} rule_range;

#include "sidecar/pipeline/semconv_table.inc"

const wb_semconv_rule *wb_semconv_rules(uint16_t place, size_t *n)
{
    WB_ASSERT(place >= 1 && place <= WB_SEMCONV_KEYS);
    *n = ranges[place - 1].count;
    return &rules[ranges[place - 1].first];
}

bool wb_semconv_prefix_of(wb_slice key, size_t *prefix, uint8_t *field)
{
    for (size_t i = 0; i < WB_SEMCONV_PREFIXES; i++) {
        if (!wb_slice_starts(key, wb_semconv_prefixes[i])) continue;
        *prefix = i;
        *field = prefix_fields[i];
        return true;
    }
    return false;
}

wb_slice wb_canon_attribute(uint8_t field) { return fields[field].attribute; }
