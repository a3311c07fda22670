/* SPDX-License-Identifier: Apache-2.0 */
/* cli/token_vectors.h: a file of published vectors (TOKENS section 18) as inputs of the verifier. */
#ifndef WAYBILL_CLI_TOKEN_VECTORS_H
#define WAYBILL_CLI_TOKEN_VECTORS_H

#include "core/json.h"
#include "propagation/verify.h"

enum { WB_VECTOR_LIST_MAX = 64, WB_VECTORS_MAX_BYTES = 64 * 1024 * 1024 };

typedef struct wb_vectors {
    wb_arena *arena; /* owned; holds the text and its JSON */
    const wb_json *root;
} wb_vectors;

/** Read a file. `v` is zeroed before, and wb_vectors_close's whatever comes back.
 *  Errors  UNAVAILABLE it cannot be read | MALFORMED it holds no vectors | NO_MEMORY */
WB_MUST_USE wb_status wb_vectors_open(const char *path, wb_vectors *v, wb_error *err);
void wb_vectors_close(wb_vectors *v);

/** One case: what the verifier is given, what it should say. Embedded: prepare, done. Its slices live
 *  in the vectors and in the arena of wb_vector_prepare. */
typedef struct wb_vector {
    const wb_json *json;
    wb_slice name;
    wb_verify_input in;
    wb_slice self_ids[WB_VECTOR_LIST_MAX];
    wb_trust_policy entries[WB_VECTOR_LIST_MAX];
    wb_policies policies;
    wb_trust *trust;       /* owned */
    wb_revoked *revoked;   /* owned */
    wb_key_ring *ring;     /* owned, or NULL */
    wb_slice duplicate_of; /* after wb_vector_decide: acceptance of a DUPLICATE */
} wb_vector;

/** The first case, and the one behind; NULL: there is none. */
const wb_json *wb_vectors_first(const wb_vectors *v);
const wb_json *wb_vectors_next(const wb_json *at);

/** `out` is zeroed before, and wb_vector_done's whatever comes back.
 *  Errors  MALFORMED the case is not as section 18 says | NO_MEMORY */
WB_MUST_USE wb_status wb_vector_prepare(const wb_vectors *v, const wb_json *json, wb_arena *arena,
                                        wb_vector *out, wb_error *err);
void wb_vector_done(wb_vector *vector);

/** Steps 15 to 17 with the case's state in place of the sidecar's tables. */
wb_verdict wb_vector_decide(wb_vector *vector, const wb_verify_result *result);
/** Is it what the case expects? */
bool wb_vector_agrees(const wb_vector *vector, const wb_verdict *verdict);

#endif
