/* SPDX-License-Identifier: Apache-2.0 */
/* core/jcs.h: the canonical form of JSON, in which two texts of one value are the same bytes.
 * Source: RFC 8785. Numbers are rounded to doubles first. */
#ifndef WAYBILL_CORE_JCS_H
#define WAYBILL_CORE_JCS_H

#include "core/json.h"

/* Levels of arrays and objects in one value. Protobuf's readers of JSON take 100. */
enum { WB_JCS_DEPTH = 128 };

/** Read a JSON text of any size whose values are to be canonicalised: all of RFC 8259, members sorted.
 *  depth   levels that the text may have
 *  root    its slices live in `arena` or point into `text`
 *  Errors  MALFORMED not UTF-8, not JSON, half a surrogate pair, a name twice in an object, too deep
 *          NO_MEMORY arena limit; it takes at most 48 bytes for each of the text, and 80 a level */
WB_MUST_USE wb_status wb_jcs_parse(wb_slice text, uint32_t depth, wb_arena *arena,
                                   const wb_json **root, wb_error *err);

/** Append the canonical form of what wb_jcs_parse read, or of a part of it.
 *  out     on failure may have got some of it; six times the bytes of the text are enough
 *  arena   lends memory for reals
 *  Errors  MALFORMED a number beyond doubles, deeper than WB_JCS_DEPTH | NO_MEMORY a limit */
WB_MUST_USE wb_status wb_jcs_add(wb_buffer *out, const wb_json *value, wb_arena *arena,
                                 wb_error *err);

/** Both in one: append the canonical form of `text`. Errors as above. */
WB_MUST_USE wb_status wb_jcs_format(wb_slice text, wb_arena *arena, wb_buffer *out, wb_error *err);

#endif
