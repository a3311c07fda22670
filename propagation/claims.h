/* SPDX-License-Identifier: Apache-2.0 */
/* propagation/claims.h: the payload of a token, read and written. Used within propagation only: the
 * rest of the program sees wb_token_parse and wb_token_mint. TOKENS sections 3 and 5. */
#ifndef WAYBILL_PROPAGATION_CLAIMS_H
#define WAYBILL_PROPAGATION_CLAIMS_H

#include "core/buffer.h"
#include "core/json.h"
#include "propagation/token.h"

/* TOKENS section 3, for header and payload. */
extern const wb_json_limits wb_token_json_limits;

/** Step 4 of TOKENS section 8 over one decoded part. `root` is set iff *code is NONE.
 *  NO_MEMORY arena limit */
WB_MUST_USE wb_status wb_token_json(wb_slice text, wb_arena *arena, const wb_json **root,
                                    wb_token_code *code);

/** Step 6 over a payload. `kid` of `out` is left alone; slices point where the JSON's do. `out` is
 *  written on WB_E_NONE only. */
WB_MUST_USE wb_token_code wb_claims_check(const wb_json *payload, wb_claims *out);

/** Append the payload in the order of section 5, escaped as section 3 says. Checks nothing: whoever
 *  mints parses what was written. NO_MEMORY the buffer's limit. */
WB_MUST_USE wb_status wb_claims_format(const wb_claims *claims, wb_buffer *out);

#endif
