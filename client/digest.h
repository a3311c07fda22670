/* SPDX-License-Identifier: Apache-2.0 */
/* client/digest.h: the body digest, what a token says about a message's content. Both sides of a hop
 * must come to the same 32 bytes, so it hashes meaning and not wire bytes.
 * Format: docs/tokens.md section 6. Any thread may call. */
#ifndef WAYBILL_CLIENT_DIGEST_H
#define WAYBILL_CLIENT_DIGEST_H

#include "core/sha256.h"
#include "core/slice.h"
#include "core/status.h"

enum { WB_SALT_LEN = 16, WB_BODY_DIGEST_LEN = WB_SHA256_LEN };

typedef enum wb_part_kind { /* the kind byte */
                            WB_PART_OTHER = 0,
                            WB_PART_TEXT = 1,
                            WB_PART_RAW = 2,
                            WB_PART_URL = 3,
                            WB_PART_DATA = 4,
} wb_part_kind;

/* A part of an A2A message. `content` by kind: TEXT and URL the string's UTF-8, RAW the bytes, DATA the
 * value as JSON text, OTHER (no content or several) the whole part as JSON text. */
typedef struct wb_part {
    wb_part_kind kind;
    wb_slice content;
    wb_slice filename,
        media_type; /* empty: absent. A2A 0.3 has none in TEXT and DATA; OTHER: unused */
} wb_part;

/** The digest of a message whose parts the caller has one by one.
 *  limit_bytes  of memory that JSON may take meanwhile, twice
 *  Errors       MALFORMED a part has no digest: `err` says why, and the message gets no token
 *               NO_MEMORY limit, or memory is out */
WB_MUST_USE wb_status wb_body_digest(const uint8_t salt[WB_SALT_LEN], const wb_part *parts,
                                     size_t n, size_t limit_bytes, uint8_t out[WB_BODY_DIGEST_LEN],
                                     wb_error *err);

/* How the parts of an A2A message are written. */
typedef enum wb_a2a_dialect {
    WB_A2A_1_0 = 1,      /* JSON-RPC and HTTP+JSON alike */
    WB_A2A_0_3_JSON_RPC, /* {"kind":"file","file":{"bytes":...}} */
    WB_A2A_0_3_HTTP,     /* HTTP+JSON, and the JSON of gRPC: {"file":{"fileWithBytes":...}} */
} wb_a2a_dialect;

/** The digest of a message from the JSON of its `parts`, as it is sent or came.
 *  parts        the text of the array
 *  limit_bytes  of memory, twice: once for the array's values, once for one part's content. Every byte
 *               of the text may cost 48, in ordinary messages some 5
 *  Errors       as above; MALFORMED also for a text that core/jcs.h refuses, wherever its fault is, for
 *               what is no array of objects, for text, URL, base64, name or type that is no string */
WB_MUST_USE wb_status wb_body_digest_of_json(const uint8_t salt[WB_SALT_LEN],
                                             wb_a2a_dialect dialect, wb_slice parts,
                                             size_t limit_bytes, uint8_t out[WB_BODY_DIGEST_LEN],
                                             wb_error *err);

/* ---- below both ------------------------------------------------------------------------------- */

void wb_body_hash_start(wb_sha256_state *hash, const uint8_t salt[WB_SALT_LEN]);
/** One part; `content` as it is hashed: of RAW the decoded bytes, of DATA and OTHER the RFC 8785 form. */
void wb_body_hash_add(wb_sha256_state *hash, const wb_part *part);

#endif
