/* SPDX-License-Identifier: Apache-2.0 */
/* Keys A and B as a trust text, C's ring from its seed, the message of the example. */
#include "tests/fuzz/token_world.h"

const char example_root_jws[] =
    "eyJhbGciOiJFZDI1NTE5IiwidHlwIjoid2F5YmlsbC10cmFjZStqd3QiLCJraWQiOiIxSUcydE1IN0oyd2JKWm5PZjhM"
    "SnpRaXRLZjdMTXZvQUVsc3VETVZNNTRZIn0.eyJ2ZXIiOjEsImlzcyI6InNwaWZmZTovL2V4YW1wbGUub3JnL2EiLCJz"
    "dWIiOiJzcGlmZmU6Ly9leGFtcGxlLm9yZy9hIiwiYXVkIjoic3BpZmZlOi8vZXhhbXBsZS5vcmcvYiIsImp0aSI6Im9L"
    "R2lvNlNscHFlb3FhcXJySzJ1cnciLCJpYXQiOjE3NjcyMjU2MDAsImV4cCI6MTc2NzIyNTcyMCwiZGxuIjoxNzY3MjI5"
    "MjAwLCJ0aWQiOiIwYWY3NjUxOTE2Y2Q0M2RkODQ0OGViMjExYzgwMzE5YyIsInBzaWQiOiJiN2FkNmI3MTY5MjAzMzMx"
    "IiwidGZsIjozLCJkZXAiOjAsIm14ZCI6NCwibGltIjp7ImN1ciI6IlVTRCIsImNvc3QiOjUwMDAwMCwidG9rIjoyMDAw"
    "MDAsIm1zIjo2MDAwMDB9LCJibmQiOnsibXRoIjoiU2VuZE1lc3NhZ2UiLCJtaWQiOiJtc2ctMSIsImJkZyI6Im1QclBm"
    "OG95Z0NZR0phVUl5WS1rREc4bTA4YXM5am9HeEV0YTRnWVRJUE0ifX0.ML0soN8itXsPKD00DGjPl3Yq9S3S2W0fKLyk"
    "o-S7g4or2EFEs6TDe54NJmVJvUW2Qe6XfSaSsyXxCnTgxqSlAw";
const char example_child_jws[] =
    "eyJhbGciOiJFZDI1NTE5IiwidHlwIjoid2F5YmlsbC10cmFjZStqd3QiLCJraWQiOiJBa1hJWkZ6b25iNTlabUd3eUtn"
    "aTNIM0J3TWk2YW1ldnFkS1FpTFpoZHRjIn0.eyJ2ZXIiOjEsImlzcyI6InNwaWZmZTovL2V4YW1wbGUub3JnL2IiLCJz"
    "dWIiOiJzcGlmZmU6Ly9leGFtcGxlLm9yZy9hIiwiYXVkIjoic3BpZmZlOi8vZXhhbXBsZS5vcmcvYyIsImp0aSI6InNM"
    "R3lzN1MxdHJlNHVicTd2TDItdnciLCJpYXQiOjE3NjcyMjU2MDIsImV4cCI6MTc2NzIyNTcyMiwiZGxuIjoxNzY3MjI4"
    "NjAwLCJ0aWQiOiIwYWY3NjUxOTE2Y2Q0M2RkODQ0OGViMjExYzgwMzE5YyIsInBzaWQiOiIwMGYwNjdhYTBiYTkwMmI3"
    "IiwidGZsIjozLCJkZXAiOjEsIm14ZCI6NCwicHRoIjoiM0daMlgzelpXenYyNTRIeVRIaVk4bW5OQ25hcE9fYVcwNHBV"
    "c1IyTmExOCIsImxpbSI6eyJjdXIiOiJVU0QiLCJjb3N0IjoxMjAwMDAsInRvayI6NDAwMDAsIm1zIjozMDAwMDB9LCJi"
    "bmQiOnsibXRoIjoiU2VuZFN0cmVhbWluZ01lc3NhZ2UiLCJtaWQiOiJtc2ctMiIsImN0eCI6ImN0eC03IiwiYmRnIjoi"
    "bmEzczdJQXdrQ05nM3MtZnAwT09BTl84TURwUnZkVEY5em5Rd3lDS3phYyJ9fQ.U6TisfQbuZi3PARGWoJ0m0FCP0xV8"
    "EPjTbXIfJLNzldHH1AengfNGm9Z1DDB-9FlfWfB7sqcqwirGiaZRlCWAw";

#define KEY(id, x, kid)                                                                            \
    "{\"wb_iss\":\"spiffe://example.org/" id "\",\"keys\":[{\"kty\":\"OKP\",\"crv\":\"Ed25519\","  \
    "\"use\":\"waybill\",\"x\":\"" x "\",\"kid\":\"" kid "\"}]}"
static const char trust_text[] = "{\"wb_bundles\":[" KEY(
    "a", "A6EHv_POEL4dcN0Y50vAmWfk1jCbpQ1fHdyGZBJVMbg",
    "1IG2tMH7J2wbJZnOf8LJzQitKf7LMvoAElsuDMVM54Y") "," KEY("b",
                                                           "Kay64UG8yvCyLhqU000LxzYeUm0L_"
                                                           "hLIl5S8kyKWbdc",
                                                           "AkXIZFzonb59ZmGwyKgi3H3BwMi6amevqdKQiLZ"
                                                           "hdtc") "]}";

static wb_slice self_id;
static wb_policies policies;
static wb_verify_input input;

static void build(void)
{
    uint8_t seed[WB_SEED_BYTES];
    wb_trust *trust = NULL;
    wb_key_ring *ring = NULL;
    self_id = WB_S("spiffe://example.org/c");
    policies = (wb_policies){.self_id = self_id};
    for (size_t i = 0; i < sizeof seed; i++) seed[i] = (uint8_t)(0x40 + i);
    WB_ASSERT(wb_self_test(NULL) == WB_OK);
    WB_ASSERT(wb_trust_parse(wb_slice_str(trust_text), &trust, NULL) == WB_OK);
    WB_ASSERT(wb_key_ring_from_seed(seed, &ring, NULL) == WB_OK);
    input = (wb_verify_input){
        .now_s = 1767225603,
        .skew_s = WB_SKEW_DEFAULT_S,
        .self_ids = &self_id,
        .n_self_ids = 1,
        .ring = ring,
        .trust = trust,
        .policies = &policies,
        .chain = {{wb_slice_str(example_root_jws), wb_slice_str(example_child_jws)}, 2},
        .message = {.method = WB_S("SendStreamingMessage"),
                    .message_id = WB_S("msg-2"),
                    .context_id = WB_S("ctx-7"),
                    .has_digest = true}};
    WB_ASSERT(wb_b64url_parse_exact(WB_S("na3s7IAwkCNg3s-fp0OOAN_8MDpRvdTF9znQwyCKzac"),
                                    input.message.digest, WB_HASH_BYTES) == WB_OK);
    assert_only_the_example_continues(&input.chain);
}

const wb_verify_input *example_input(void)
{
    static bool built;
    if (!built) {
        built = true;
        build();
    }
    return &input;
}

wb_arena *fuzz_arena(void)
{
    static wb_arena *arena;
    if (!arena) arena = wb_arena_new(WB_VERIFY_ARENA_BYTES);
    WB_ASSERT(arena);
    wb_arena_reset(arena);
    return arena;
}

void assert_only_the_example_continues(const wb_chain *chain)
{
    static wb_arena *arena;
    wb_verify_result result;
    wb_verify_input in = *example_input();
    if (!arena) arena = wb_arena_new(WB_VERIFY_ARENA_BYTES);
    WB_ASSERT(arena);
    wb_arena_reset(arena);
    in.chain = *chain;
    WB_ASSERT(wb_token_verify(&in, arena, &result) == WB_OK);
    wb_verdict v = wb_verdict_decide(&result, WB_REPLAY_NEW, false);
    bool same = chain->n == 2;
    for (size_t i = 0; i < 2 && same; i++)
        same = chain->links[i].ptr && wb_slice_eq(chain->links[i], input.chain.links[i]);
    WB_ASSERT((v.kind == WB_VERDICT_CONTINUE) == same);
    WB_ASSERT(!v.verified || same);
}

static void assert_same_texts(const wb_claims *x, const wb_claims *y)
{
    WB_ASSERT(wb_slice_eq(x->iss, y->iss) && wb_slice_eq(x->sub, y->sub));
    WB_ASSERT(wb_slice_eq(x->aud, y->aud) && wb_slice_eq(x->mid, y->mid));
    WB_ASSERT(wb_slice_eq(x->ctx, y->ctx) && wb_slice_eq(x->tsk, y->tsk));
    WB_ASSERT(x->n_scp == y->n_scp);
    for (size_t i = 0; i < x->n_scp; i++) WB_ASSERT(wb_slice_eq(x->scp[i], y->scp[i]));
}

void assert_same_claims(const wb_claims *x, const wb_claims *y)
{
    assert_same_texts(x, y);
    WB_ASSERT(strcmp(x->kid, y->kid) == 0 && strcmp(x->cnf_jkt, y->cnf_jkt) == 0);
    WB_ASSERT(WB_ID_EQ(x->jti, y->jti) && WB_ID_EQ(x->tid, y->tid) && WB_ID_EQ(x->psid, y->psid));
    WB_ASSERT(x->iat == y->iat && x->exp == y->exp && x->dln == y->dln && x->tfl == y->tfl);
    WB_ASSERT(x->dep == y->dep && x->mxd == y->mxd && memcmp(x->pth, y->pth, sizeof x->pth) == 0);
    WB_ASSERT(x->has_lnk == y->has_lnk && x->has_cnf == y->has_cnf && x->has_scp == y->has_scp);
    WB_ASSERT(x->lnk_hop == y->lnk_hop && memcmp(x->lnk_tth, y->lnk_tth, sizeof x->lnk_tth) == 0);
    WB_ASSERT(strcmp(x->lim.cur, y->lim.cur) == 0 && x->lim.cost == y->lim.cost);
    WB_ASSERT(x->lim.tok == y->lim.tok && x->lim.ms == y->lim.ms && x->mth == y->mth);
    WB_ASSERT(memcmp(x->bdg, y->bdg, sizeof x->bdg) == 0);
}
