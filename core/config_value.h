/* SPDX-License-Identifier: Apache-2.0 */
/* core/config_value.h: one value between text and its place in a struct. For core/config*.c and
 * the options of the command line. */
#ifndef WAYBILL_CORE_CONFIG_VALUE_H
#define WAYBILL_CORE_CONFIG_VALUE_H

#include "core/config.h"

/* How WB_SLICES, WB_LIST and WB_MAP lie in a struct, whatever the pointer's type there. */
typedef struct wb_config_items {
    const void *items;
    size_t n;
} wb_config_items;

/** True for types that one scalar holds. */
bool wb_config_is_scalar(wb_config_type type);

/** Is there such a key in the struct at `base`, given its `type` (wb_config_key.only)? */
bool wb_config_applies(const wb_config_table *table, const wb_config_key *key, const void *base);

/** Parse `text` for a scalar key and store it in the struct at `base`.
 *  Errors  CONFIG `err` says what is wrong, without the key's name | NO_MEMORY */
WB_MUST_USE wb_status wb_config_value_parse(const wb_config_key *key, wb_slice text,
                                            wb_arena *arena, void *base, wb_error *err);

/** Are `n` items, or bytes of text, within the key's range? CONFIG as above. */
WB_MUST_USE wb_status wb_config_count_check(const wb_config_key *key, size_t n, const char *unit,
                                            wb_error *err);

/** Is this printable text without a line break? CONFIG as above. */
WB_MUST_USE wb_status wb_config_text_check(wb_slice text, wb_error *err);

/** Append a scalar key's value as YAML; nothing for a text that is not set. */
WB_MUST_USE wb_status wb_config_value_print(const wb_config_key *key, const void *base,
                                            wb_buffer *out);

enum { WB_CONFIG_CHOICES_MAX = 160 };

/** Write the words of `choices` that have a name, with ", " between them; cut at `size` bytes with NUL, at
 *  least 1. Returns `out`. */
const char *wb_config_choices_say(const char *choices, char *out, size_t size);

/** Append a text in YAML's double quotes. */
WB_MUST_USE wb_status wb_config_quote(wb_slice text, wb_buffer *out);

#endif
