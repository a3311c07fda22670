/* SPDX-License-Identifier: Apache-2.0 */
/* tests/unit/propagation/fixture.h: the world of TOKENS section 19: agents A, B and C of one trust
 * domain with fixed seeds, a root A -> B, its child B -> C, and C's view of the message, all of which
 * a test may change before it asks. */
#ifndef WAYBILL_TESTS_PROPAGATION_FIXTURE_H
#define WAYBILL_TESTS_PROPAGATION_FIXTURE_H

#include "core/buffer.h"
#include "propagation/mint.h"
#include "propagation/verify.h"

#define ID_A "spiffe://example.org/a"
#define ID_B "spiffe://example.org/b"
#define ID_C "spiffe://example.org/c"
#define ID_D "spiffe://example.org/d"

enum { NOW = 1767225603 };

typedef struct token_fixture {
    wb_arena *arena;
    wb_key_ring *a, *b, *c, *d; /* seeds 00..1f, 20..3f, 40..5f, 60..7f */
    wb_trust *trust;            /* keys of A, B and D */
    wb_trust_policy entries[4]; /* policies.n says how many count */
    wb_policies policies;
    wb_slice self_ids[2];
    wb_claims root, child; /* of section 19; the child's pth is set when it is minted */
    wb_slice root_jws, child_jws;
    wb_revoked *revoked; /* owned; NULL until fixture_revoke */
    wb_verify_input in;  /* C's, for the child; its chain is set by fixture_chain */
} token_fixture;

/* cmocka set-up and tear-down. */
int fixture_up(void **state);
int fixture_down(void **state);

/** Mint `root` and `child` as they are now, and put both into `in.chain`. */
void fixture_chain(token_fixture *f);
/** Mint claims, whatever they say. */
wb_slice fixture_mint(token_fixture *f, wb_key_ring *ring, const wb_claims *claims);
/** Sign any two texts as header and payload. */
wb_slice fixture_sign(token_fixture *f, wb_key_ring *ring, wb_slice header, wb_slice payload);
/** A ring over the seed from, from + 1, ... */
wb_key_ring *fixture_ring(uint8_t from);
/** One trust file's text for one key, with `more` members in it. */
wb_slice fixture_trust_text(token_fixture *f, const char *id, const wb_key_ring *ring,
                            const char *more);
/** Believe the issuers of these texts, and nobody else. */
void fixture_trust(token_fixture *f, const wb_slice *texts, size_t n);

/** Believe this issuer and nobody else; `more` as above. */
void fixture_trust_only(token_fixture *f, const char *id, const wb_key_ring *ring,
                        const char *more);
/** Rewrite the signature of link `i` with `edit`. */
void fixture_edit_signature(token_fixture *f, size_t i, void (*edit)(uint8_t sig[WB_SIG_BYTES]));
/** Revoke by the lines of `text`, and by nothing else. */
void fixture_revoke(token_fixture *f, const char *text);

/** The verifier's answer for `in` as it is now. */
wb_verify_result fixture_verify(token_fixture *f);
/** ... with a fresh replay table and no owner of the trace. */
wb_verdict fixture_verdict(token_fixture *f);
/** Assert on one code, with both names in the message. */
void assert_code(const char *what, wb_token_code got, wb_token_code expected);

#endif
