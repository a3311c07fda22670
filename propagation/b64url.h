/* SPDX-License-Identifier: Apache-2.0 */
/* propagation/b64url.h: base64url without padding, one spelling per value. RFC 4648 section 5 with
 * the restrictions of docs/design/token.md (TOKENS section 3). Thread-safe, no memory taken. */
#ifndef WAYBILL_PROPAGATION_B64URL_H
#define WAYBILL_PROPAGATION_B64URL_H

#include "core/slice.h"
#include "core/status.h"

/* Characters that n bytes take, bytes that n characters give. */
#define WB_B64URL_LEN(n) ((4 * (n) + 2) / 3)
#define WB_B64URL_BYTES(n) (3 * (n) / 4)

enum {
    WB_HASH_BYTES = 32,
    WB_HASH_B64 = WB_B64URL_LEN(32), /* 43: hashes, key ids, public keys */
    WB_JTI_B64 = WB_B64URL_LEN(16),  /* 22: jti, salt */
};

/** Write WB_B64URL_LEN(bytes.len) characters and a NUL to `out`, which has room for them. */
void wb_b64url_format(wb_slice bytes, char *out);

/** Decode all of `text` into `out` of `cap` bytes; *len is what was written.
 *  Errors  MALFORMED another alphabet, padding, white space, a length of 1 mod 4, unused bits set
 *          FULL the result needs more than `cap` bytes */
WB_MUST_USE wb_status wb_b64url_parse(wb_slice text, uint8_t *out, size_t cap, size_t *len);

/** As above for values of one length: MALFORMED also if the result is not exactly `len` bytes. */
WB_MUST_USE wb_status wb_b64url_parse_exact(wb_slice text, uint8_t *out, size_t len);

#endif
