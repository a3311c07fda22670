/* SPDX-License-Identifier: Apache-2.0 */
/* sidecar/pipeline/letters.h: letters and digits of ASCII, whatever the locale says. */
#ifndef WAYBILL_SIDECAR_PIPELINE_LETTERS_H
#define WAYBILL_SIDECAR_PIPELINE_LETTERS_H

#include <stdbool.h>
#include <stdint.h>

static inline bool wb_is_letter(uint8_t c) { return (c | 0x20) >= 'a' && (c | 0x20) <= 'z'; }
static inline bool wb_is_digit(uint8_t c) { return c >= '0' && c <= '9'; }
static inline bool wb_is_alnum(uint8_t c) { return wb_is_letter(c) || wb_is_digit(c); }

#endif
