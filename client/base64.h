/* SPDX-License-Identifier: Apache-2.0 */
/* client/base64.h: base64 as ProtoJSON's readers take it. (Tokens have one spelling per value and
 * propagation/b64url.h.) */
#ifndef WAYBILL_CLIENT_BASE64_H
#define WAYBILL_CLIENT_BASE64_H

#include "core/buffer.h"

/** Append the bytes that `text` spells: standard and URL alphabet, also mixed; any number of `=` at the
 *  end, or none; unused low bits are not looked at.
 *  Errors  MALFORMED another character, or a length that no bytes have; nothing was appended
 *          NO_MEMORY limit of `out`
 *  Source  RFC 4648 sections 4 and 5; ProtoJSON's `bytes` */
WB_MUST_USE wb_status wb_base64_parse(wb_slice text, wb_buffer *out);

#endif
