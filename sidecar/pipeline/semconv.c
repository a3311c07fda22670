/* SPDX-License-Identifier: Apache-2.0 */
#include "sidecar/pipeline/semconv.h"

#include "core/status.h"

#define S(text)                                                                                    \
    {                                                                                              \
        (const uint8_t *)(text), sizeof(text) - 1                                                  \
    }

typedef struct semconv_field {
    wb_slice attribute;
    bool is_content;
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

uint8_t wb_semconv_prefix_field(size_t prefix) { return prefix_fields[prefix]; }

wb_slice wb_canon_attribute(uint8_t field) { return fields[field].attribute; }

bool wb_canon_is_content(uint8_t field) { return fields[field].is_content; }
