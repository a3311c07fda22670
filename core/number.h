/* SPDX-License-Identifier: Apache-2.0 */
/* core/number.h: a JSON number as a double, and a double as ECMAScript writes it. Neither looks at the
 * locale. No memory is taken from the heap by formatting; any thread may call. */
#ifndef WAYBILL_CORE_NUMBER_H
#define WAYBILL_CORE_NUMBER_H

#include "core/arena.h"

/* The longest: "-0.0000012345678901234567", 25 characters, and a NUL; rounded up. */
enum { WB_NUMBER_MAX = 32 };

/** The double nearest to a number of RFC 8259, ties to even.
 *  text    one such number; other text is our own mistake
 *  arena   lends text.len + 32 bytes, before anything is read
 *  Errors  MALFORMED beyond the doubles | NO_MEMORY arena limit */
WB_MUST_USE wb_status wb_number_parse(wb_slice text, wb_arena *arena, double *out);

/** The same in room that the caller has, at least text.len + WB_NUMBER_MAX bytes. False: beyond the
 *  doubles. */
bool wb_number_read(wb_slice text, char *room, double *out);

/** The shortest decimal text that reads as `value` again, the nearest to it if there are several.
 *  value   finite; -0 is written 0
 *  out     NUL-terminated
 *  Return  characters, without the NUL
 *  Source  ECMA-262, Number::toString(value, 10); RFC 8785 section 3.2.2.3 */
size_t wb_number_format(double value, char out[WB_NUMBER_MAX]);

#endif
