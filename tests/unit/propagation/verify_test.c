/* SPDX-License-Identifier: Apache-2.0 */
/* Steps 1, 2 and 7 to 17 of TOKENS section 8 and the rules of section 9: one refusal per code, the
 * order of two faults, times at their exact limits, spliced chains, flipped bytes, and the verdicts. */
#include "tests/unit/propagation/fixture.h"

#include <sodium.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
/* cmocka wants the four above first */
#include <cmocka.h>

/* A change to the world before the chain is minted, or (late) after it. */
typedef void (*change)(token_fixture *f);
typedef struct world_case {
    const char *name;
    change before, after;
    wb_token_code expected;
} world_case;

static void check_worlds(const world_case *cases, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        void *state = NULL;
        assert_int_equal(fixture_up(&state), 0);
        token_fixture *f = state;
        if (cases[i].before) cases[i].before(f);
        fixture_chain(f);
        if (cases[i].after) cases[i].after(f);
        assert_code(cases[i].name, fixture_verify(f).code, cases[i].expected);
        if (cases[i].expected != WB_E_NONE && !wb_token_code_is_soft(cases[i].expected)) {
            wb_verdict v = fixture_verdict(f);
            assert_int_equal(v.kind, WB_VERDICT_REJECT);
            assert_string_equal(v.wire_class, wb_token_code_class(cases[i].expected));
        }
        (void)fixture_down(&state);
    }
}

/* Changes: named for what they do. */
#define CHANGE(name, ...)                                                                          \
    static void name(token_fixture *f) { __VA_ARGS__; }

CHANGE(no_carrier, f->in.carrier = WB_E_MISSING)
CHANGE(bad_carrier, f->in.carrier = WB_E_CARRIER)
CHANGE(no_links, f->in.chain.n = 0)
CHANGE(nine_links, f->in.chain.n = 9)
CHANGE(long_link, f->in.chain.links[0] = (wb_slice){.len = WB_LINK_MAX_BYTES + 1})
CHANGE(aud_other, f->child.aud = WB_S(ID_D))
CHANGE(aud_slash, f->child.aud = WB_S(ID_C "/"))
CHANGE(aud_prefix, f->child.aud = WB_S("spiffe://example.org/"))
CHANGE(aud_punycode, f->child.aud = WB_S("https://c.xn--example-9of.com"))
CHANGE(aud_second_own_id, f->child.aud = f->self_ids[1])
CHANGE(method_other, f->in.message.method = WB_S("SendMessage"))
CHANGE(method_unknown, f->in.message.method = WB_S("GetTask"))
CHANGE(message_other, f->in.message.message_id = WB_S("msg-3"))
CHANGE(message_none, f->in.message.message_id = (wb_slice){0})
CHANGE(task_added, f->in.message.task_id = WB_S("task-1"))
CHANGE(task_dropped, f->child.tsk = WB_S("task-1"))
CHANGE(task_good, (task_dropped(f), task_added(f)))
CHANGE(task_foreign, (task_good(f), f->in.task_sub = WB_S(ID_D), f->in.task_iss = WB_S(ID_B)))
CHANGE(task_foreign_issuer,
       (task_good(f), f->in.task_sub = WB_S(ID_A), f->in.task_iss = WB_S(ID_D)))
CHANGE(task_owned, (task_good(f), f->in.task_sub = WB_S(ID_A), f->in.task_iss = WB_S(ID_B)))
CHANGE(context_dropped, f->in.message.context_id = (wb_slice){0})
CHANGE(context_changed, f->in.message.context_id = WB_S("ctx-8"))
CHANGE(context_added, f->child.ctx = (wb_slice){0})
CHANGE(digest_bit, f->in.message.digest[31] ^= 1)
CHANGE(digest_none, f->in.message.has_digest = false)

CHANGE(issuer_unknown, fixture_trust_only(f, ID_A, f->a, ""))
CHANGE(issuer_with_anothers_key, fixture_trust_only(f, ID_B, f->a, ""))
CHANGE(signed_with_anothers_trusted_key, f->child_jws = fixture_mint(f, f->a, &f->child);
       f->in.chain.links[1] = f->child_jws)
CHANGE(key_not_yet, fixture_trust_only(f, ID_B, f->b, ",\"wb_nbf\":1767225603"))
CHANGE(key_from_now, fixture_trust_only(f, ID_B, f->b, ",\"wb_nbf\":1767225602"))
CHANGE(key_no_more, fixture_trust_only(f, ID_B, f->b, ",\"wb_exp\":1767225602"))
CHANGE(key_just_still, fixture_trust_only(f, ID_B, f->b, ",\"wb_exp\":1767225603"))

static void issuer_with_no_keys(token_fixture *f)
{
    wb_slice text = WB_S("{\"wb_iss\":\"" ID_B "\",\"keys\":[]}");
    fixture_trust(f, &text, 1);
}

static void flip_s(uint8_t sig[WB_SIG_BYTES]) { sig[32] ^= 1; }
static void identity_r(uint8_t sig[WB_SIG_BYTES]) { memset(sig, 0, 32), sig[0] = 1; }
static void add_order(uint8_t sig[WB_SIG_BYTES])
{
    static const uint8_t order[32] = {0xed, 0xd3, 0xf5, 0x5c, 0x1a, 0x63, 0x12, 0x58,       0xd6,
                                      0x9c, 0xf7, 0xa2, 0xde, 0xf9, 0xde, 0x14, [31] = 0x10};
    sodium_add(sig + 32, order, sizeof order);
}
CHANGE(leaf_s_flipped, fixture_edit_signature(f, 1, flip_s))
CHANGE(leaf_r_identity, fixture_edit_signature(f, 1, identity_r))
CHANGE(leaf_s_plus_order, fixture_edit_signature(f, 1, add_order))

/* Damage the root's signature, and let the child name what is left. */
static void root_signature(token_fixture *f, void (*edit)(uint8_t sig[WB_SIG_BYTES]))
{
    fixture_edit_signature(f, 0, edit);
    wb_token_hash(f->in.chain.links[0], f->child.pth);
    f->in.chain.links[1] = fixture_mint(f, f->b, &f->child);
}
CHANGE(root_s_flipped, root_signature(f, flip_s))
CHANGE(root_r_identity, root_signature(f, identity_r))

static void root_key_expired(token_fixture *f)
{
    wb_slice texts[] = {fixture_trust_text(f, ID_A, f->a, ",\"wb_exp\":1767225600"),
                        fixture_trust_text(f, ID_B, f->b, "")};
    fixture_trust(f, texts, 2);
}
static void root_revoked(token_fixture *f)
{
    wb_slice texts[] = {WB_S("{\"wb_iss\":\"" ID_A "\",\"keys\":[]}"),
                        fixture_trust_text(f, ID_B, f->b, "")};
    fixture_trust(f, texts, 2);
}

CHANGE(exp_at_iat, f->child.exp = f->child.iat)
CHANGE(exp_unlimited, f->child.exp = f->child.dln = WB_NOLIM)
CHANGE(exp_at_601, f->child.exp = f->child.iat + 601)
CHANGE(exp_at_600, f->child.exp = f->child.iat + 600)
CHANGE(dln_before_exp, f->child.dln = f->child.exp - 1)
CHANGE(dln_at_exp, f->child.dln = f->child.exp)
CHANGE(root_dln_too_far, f->root.dln = f->root.iat + 86401)
CHANGE(root_dln_at_a_day, f->root.dln = f->root.iat + 86400)

static void each_refusal_has_its_code(void **state)
{
    (void)state;
    static const world_case cases[] = {
        {"no carrier", NULL, no_carrier, WB_E_MISSING},
        {"another shape", NULL, bad_carrier, WB_E_CARRIER},
        {"no links", NULL, no_links, WB_E_CHAIN_LEN},
        {"nine links", NULL, nine_links, WB_E_CHAIN_LEN},
        {"a link of 4097 bytes", NULL, long_link, WB_E_SIZE},
        {"another's", aud_other, NULL, WB_E_AUD},
        {"own id and a slash", aud_slash, NULL, WB_E_AUD},
        {"a prefix of the own id", aud_prefix, NULL, WB_E_AUD},
        {"a punycode twin", aud_punycode, NULL, WB_E_AUD},
        {"another method", NULL, method_other, WB_E_BIND_METHOD},
        {"no such method", NULL, method_unknown, WB_E_BIND_METHOD},
        {"another message", NULL, message_other, WB_E_BIND_MSG},
        {"no message id", NULL, message_none, WB_E_BIND_MSG},
        {"a task that the token lacks", NULL, task_added, WB_E_BIND_TASK},
        {"a task that the message lacks", task_dropped, NULL, WB_E_BIND_TASK},
        {"a task of another subject", task_foreign, NULL, WB_E_BIND_TASK},
        {"a task by another issuer", task_foreign_issuer, NULL, WB_E_BIND_TASK},
        {"a context dropped", NULL, context_dropped, WB_E_BIND_CTX},
        {"a context changed", NULL, context_changed, WB_E_BIND_CTX},
        {"a context added", context_added, NULL, WB_E_BIND_CTX},
        {"one bit of the digest", NULL, digest_bit, WB_E_BIND_BODY},
        {"no digest", NULL, digest_none, WB_E_BIND_BODY},
        {"an unknown issuer", NULL, issuer_unknown, WB_E_ISS_UNKNOWN},
        {"an issuer whose set is empty", NULL, issuer_with_no_keys, WB_E_KEY_REVOKED},
        {"another key in the issuer's set", NULL, issuer_with_anothers_key, WB_E_KEY_UNKNOWN},
        {"B's token by A's trusted key", NULL, signed_with_anothers_trusted_key, WB_E_KEY_UNKNOWN},
        {"a key not yet in force", NULL, key_not_yet, WB_E_KEY_TIME},
        {"a key no longer in force", NULL, key_no_more, WB_E_KEY_TIME},
        {"S changed", NULL, leaf_s_flipped, WB_E_SIG},
        {"S + L", NULL, leaf_s_plus_order, WB_E_SIG},
        {"R the identity", NULL, leaf_r_identity, WB_E_SIG_POINT},
        {"an ancestor's S changed", NULL, root_s_flipped, WB_E_CHAIN_SIG},
        {"an ancestor's R the identity", NULL, root_r_identity, WB_E_CHAIN_SIG},
        {"an ancestor's key expired", NULL, root_key_expired, WB_E_CHAIN_SIG},
        {"an ancestor's set is empty", NULL, root_revoked, WB_E_CHAIN_SIG},
        {"exp at iat", exp_at_iat, NULL, WB_E_TTL},
        {"exp without limit", exp_unlimited, NULL, WB_E_TTL},
        {"exp 601 s after iat", exp_at_601, NULL, WB_E_TTL},
        {"dln before exp", dln_before_exp, NULL, WB_E_TTL},
        {"an ancestor's dln beyond a day", root_dln_too_far, NULL, WB_E_TTL},
        {"dln at exp", dln_at_exp, NULL, WB_E_NONE},
        {"exp 600 s after iat", exp_at_600, NULL, WB_E_NONE},
        {"dln a day after iat", root_dln_at_a_day, NULL, WB_E_NONE},
        {"the second own id", aud_second_own_id, NULL, WB_E_NONE},
        {"a task of this owner", task_owned, NULL, WB_E_NONE},
        {"a task without recorded owner", task_good, NULL, WB_E_NONE},
        {"a key from this second on", NULL, key_from_now, WB_E_NONE},
        {"a key in its last second", NULL, key_just_still, WB_E_NONE},
        {"the example", NULL, NULL, WB_E_NONE},
    };
    check_worlds(cases, WB_COUNT(cases));
}

CHANGE(root_at_depth_1, f->root.dep = 1)
CHANGE(root_for_another, f->root.sub = WB_S(ID_D); f->child.sub = f->root.sub)
CHANGE(child_of_another_twin, f->root.jti.b[0] ^= 1;
       f->in.chain.links[0] = fixture_mint(f, f->a, &f->root))
CHANGE(child_by_another, f->root.aud = WB_S(ID_D))
CHANGE(confirmed_other_key, f->root.has_cnf = true;
       memcpy(f->root.cnf_jkt, wb_key_ring_kid(f->d), sizeof f->root.cnf_jkt))
CHANGE(confirmed_this_key, f->root.has_cnf = true;
       memcpy(f->root.cnf_jkt, wb_key_ring_kid(f->b), sizeof f->root.cnf_jkt))
CHANGE(depth_skipped, f->child.dep = 2)
CHANGE(trace_changed, f->child.tid.b[0] ^= 1)
CHANGE(subject_changed, f->child.sub = WB_S(ID_D))
CHANGE(link_only_in_child, f->child.has_lnk = true; f->child.lnk_hop = 1)
CHANGE(link_in_both, f->root.has_lnk = f->child.has_lnk = true;
       f->root.lnk_hop = f->child.lnk_hop = 16)
CHANGE(link_hop_lowered, link_in_both(f); f->child.lnk_hop = 15)
CHANGE(link_hash_changed, link_in_both(f); f->child.lnk_tth[0] = 1)
CHANGE(link_hop_17, link_in_both(f); f->root.lnk_hop = f->child.lnk_hop = 17)
CHANGE(deeper_allowed, f->child.mxd = 5)
CHANGE(sealed_chain, f->child.mxd = 1)
CHANGE(before_its_parent, f->root.iat = f->child.iat + 61; f->root.exp = f->root.iat + 120)
CHANGE(just_before_its_parent, f->root.iat = f->child.iat + 60; f->root.exp = f->root.iat + 120)
CHANGE(parent_over, f->root.iat -= 700; f->root.exp = f->root.iat + 600;
       f->root.dln = f->child.iat - 1)
CHANGE(dln_widened, f->child.dln = f->root.dln + 1)
CHANGE(dln_the_same, f->child.dln = f->root.dln)
CHANGE(currency_changed, memcpy(f->child.lim.cur, "EUR", 4))
CHANGE(cost_plus_1, f->child.lim.cost = f->root.lim.cost + 1)
CHANGE(tok_plus_1, f->child.lim.tok = f->root.lim.tok + 1)
CHANGE(ms_plus_1, f->child.lim.ms = f->root.lim.ms + 1)
CHANGE(limits_the_same, f->child.lim = f->root.lim)
CHANGE(scope_of_two, f->root.has_scp = f->child.has_scp = true; f->root.n_scp = 2;
       f->root.scp[0] = WB_S("read"); f->root.scp[1] = WB_S("write"))
CHANGE(scope_narrowed, scope_of_two(f); f->child.n_scp = 1; f->child.scp[0] = WB_S("write"))
CHANGE(scope_widened, scope_of_two(f); f->child.n_scp = 1; f->child.scp[0] = WB_S("admin"))
CHANGE(scope_dropped, scope_of_two(f); f->child.has_scp = false)
CHANGE(scope_added_below_none, f->child.has_scp = true)
CHANGE(back_to_the_root, f->child.aud = WB_S(ID_A); f->self_ids[0] = WB_S(ID_A))
CHANGE(callback_allowed, back_to_the_root(f); f->policies.callbacks = true)
CHANGE(lone_leaf, f->in.chain = (wb_chain){.links = {f->child_jws}, .n = 1})
CHANGE(lone_leaf_of_leaf_issuer, lone_leaf(f); f->policies.n = 1;
       f->entries[0] = (wb_trust_policy){.id = WB_S(ID_B), .chain = WB_CHAIN_LEAF})

static void each_chain_rule_has_its_code(void **state)
{
    (void)state;
    static const world_case cases[] = {
        {"a root at depth 1", root_at_depth_1, NULL, WB_E_CHAIN_ROOT},
        {"a root for another subject", root_for_another, NULL, WB_E_CHAIN_SUB},
        {"a parent equal but for its jti", NULL, child_of_another_twin, WB_E_CHAIN_HASH},
        {"a child by another than the audience", child_by_another, NULL, WB_E_CHAIN_ALIGN},
        {"a child by another key than confirmed", confirmed_other_key, NULL, WB_E_CHAIN_CNF},
        {"a depth skipped", depth_skipped, NULL, WB_E_CHAIN_DEPTH},
        {"another trace", trace_changed, NULL, WB_E_CHAIN_TRACE},
        {"another subject", subject_changed, NULL, WB_E_CHAIN_SUB},
        {"lnk in the child alone", link_only_in_child, NULL, WB_E_CHAIN_ROOT},
        {"a lower hop in the child", link_hop_lowered, NULL, WB_E_CHAIN_ROOT},
        {"another hash in lnk", link_hash_changed, NULL, WB_E_CHAIN_ROOT},
        {"a higher mxd", deeper_allowed, NULL, WB_E_ATT_MXD},
        {"older than its parent by 61 s", before_its_parent, NULL, WB_E_ATT_TIME},
        {"signed behind the parent's dln", parent_over, NULL, WB_E_ATT_TIME},
        {"a later dln", dln_widened, NULL, WB_E_ATT_DLN},
        {"another currency", currency_changed, NULL, WB_E_ATT_CUR},
        {"cost + 1", cost_plus_1, NULL, WB_E_ATT_LIM},
        {"tok + 1", tok_plus_1, NULL, WB_E_ATT_LIM},
        {"ms + 1", ms_plus_1, NULL, WB_E_ATT_LIM},
        {"a wider scope", scope_widened, NULL, WB_E_ATT_SCP},
        {"a scope dropped", scope_dropped, NULL, WB_E_ATT_SCP},
        {"A to B to A", back_to_the_root, NULL, WB_E_LOOP},
        {"hop 17", link_hop_17, NULL, WB_E_HOP},
        {"a lone leaf from a full issuer", NULL, lone_leaf, WB_E_CHAIN_LEN},
        {"hop 16", link_in_both, NULL, WB_E_NONE},
        {"the confirmed key", confirmed_this_key, NULL, WB_E_NONE},
        {"a chain sealed here", sealed_chain, NULL, WB_E_NONE},
        {"older than its parent by 60 s", just_before_its_parent, NULL, WB_E_NONE},
        {"the same dln", dln_the_same, NULL, WB_E_NONE},
        {"the same limits", limits_the_same, NULL, WB_E_NONE},
        {"a narrower scope", scope_narrowed, NULL, WB_E_NONE},
        {"a scope where the parent has none", scope_added_below_none, NULL, WB_E_NONE},
        {"A to B to A where callbacks are allowed", callback_allowed, NULL, WB_E_NONE},
        {"a lone leaf from a leaf issuer", NULL, lone_leaf_of_leaf_issuer, WB_E_NONE},
    };
    check_worlds(cases, WB_COUNT(cases));
}

CHANGE(broken_leaf_and_root, f->in.chain.links[0] = WB_S("..");
       f->in.chain.links[1] = WB_S("e30=.e30.AAAA"))
CHANGE(broken_leaf_long_root, long_link(f); f->in.chain.links[1] = WB_S(".."))
CHANGE(nine_links_one_long, nine_links(f); long_link(f))
CHANGE(aud_and_expired, aud_other(f); f->in.now_s = NOW + 1000)
CHANGE(future_and_ttl, exp_at_iat(f); f->in.now_s = NOW - 100)
CHANGE(expired_and_ttl, exp_at_iat(f); f->in.now_s = NOW + 100)
CHANGE(ttl_and_method, exp_at_iat(f); method_other(f))
CHANGE(method_and_message, method_other(f); message_other(f))
CHANGE(message_and_task, message_other(f); task_added(f))
CHANGE(task_and_context, task_added(f); context_changed(f))
CHANGE(context_and_body, context_changed(f); digest_bit(f))
CHANGE(body_and_issuer, digest_bit(f); issuer_unknown(f))
CHANGE(issuer_and_signature, issuer_unknown(f); leaf_s_flipped(f))
CHANGE(time_and_signature, key_not_yet(f); leaf_s_flipped(f))
CHANGE(point_and_scalar, leaf_r_identity(f); leaf_s_flipped(f))
CHANGE(signature_and_hash, child_of_another_twin(f); leaf_s_flipped(f))
CHANGE(hash_and_align, child_by_another(f))
CHANGE(align_after_hash, child_of_another_twin(f))
CHANGE(depth_and_trace, depth_skipped(f); trace_changed(f))
CHANGE(mxd_and_dln, deeper_allowed(f); dln_widened(f))
CHANGE(dln_and_currency, dln_widened(f); currency_changed(f))
CHANGE(currency_and_limits, currency_changed(f); cost_plus_1(f))
CHANGE(limits_and_loop, cost_plus_1(f); back_to_the_root(f))
CHANGE(loop_and_hop, back_to_the_root(f); link_hop_17(f))
CHANGE(loop_and_ancestor, back_to_the_root(f))
CHANGE(root_row_before_pairs, root_for_another(f); cost_plus_1(f))

static void of_two_faults_the_earlier_step_counts(void **state)
{
    (void)state;
    static const world_case cases[] = {
        {"carrier before length", NULL, bad_carrier, WB_E_CARRIER},
        {"length before size", NULL, nine_links_one_long, WB_E_CHAIN_LEN},
        {"size of all before the form of one", NULL, broken_leaf_long_root, WB_E_SIZE},
        {"leaf before root", NULL, broken_leaf_and_root, WB_E_B64},
        {"audience before expiry", aud_and_expired, NULL, WB_E_AUD},
        {"future before bounds", future_and_ttl, NULL, WB_E_IAT_FUTURE},
        {"expired before bounds", expired_and_ttl, NULL, WB_E_EXPIRED},
        {"bounds before method", ttl_and_method, NULL, WB_E_TTL},
        {"method before message", NULL, method_and_message, WB_E_BIND_METHOD},
        {"message before task", NULL, message_and_task, WB_E_BIND_MSG},
        {"task before context", NULL, task_and_context, WB_E_BIND_TASK},
        {"context before body", NULL, context_and_body, WB_E_BIND_CTX},
        {"body before issuer", NULL, body_and_issuer, WB_E_BIND_BODY},
        {"issuer before signature", NULL, issuer_and_signature, WB_E_ISS_UNKNOWN},
        {"key time before signature", NULL, time_and_signature, WB_E_KEY_TIME},
        {"point before scalar", NULL, point_and_scalar, WB_E_SIG_POINT},
        {"leaf's signature before the chain", NULL, signature_and_hash, WB_E_SIG},
        {"hash before alignment", hash_and_align, align_after_hash, WB_E_CHAIN_HASH},
        {"depth before trace", depth_and_trace, NULL, WB_E_CHAIN_DEPTH},
        {"mxd before dln", mxd_and_dln, NULL, WB_E_ATT_MXD},
        {"dln before currency", dln_and_currency, NULL, WB_E_ATT_DLN},
        {"currency before limits", currency_and_limits, NULL, WB_E_ATT_CUR},
        {"pairs before loops", limits_and_loop, NULL, WB_E_ATT_LIM},
        {"loop before hop", loop_and_hop, NULL, WB_E_LOOP},
        {"chain rules before ancestors", loop_and_ancestor, root_s_flipped, WB_E_LOOP},
        {"root row before pair rows", root_row_before_pairs, NULL, WB_E_CHAIN_SUB},
    };
    check_worlds(cases, WB_COUNT(cases));
}

static void chains_are_bounded_in_links_and_bytes(void **state)
{
    static char text[WB_LINK_MAX_BYTES];
    token_fixture *f = *state;
    memset(text, 'A', sizeof text);
    for (size_t i = 0; i < WB_CHAIN_MAX_LINKS; i++)
        f->in.chain.links[i] = wb_slice_of(text, WB_CHAIN_MAX_BYTES / WB_CHAIN_MAX_LINKS);
    f->in.chain.n = WB_CHAIN_MAX_LINKS;
    assert_code("24 576 bytes in 8 links", fixture_verify(f).code, WB_E_SYNTAX);
    f->in.chain.links[0].len++;
    assert_code("24 577 bytes", fixture_verify(f).code, WB_E_SIZE);
    f->in.chain.links[0].len = WB_LINK_MAX_BYTES;
    f->in.chain.n = 1;
    assert_code("a link of 4096 bytes", fixture_verify(f).code, WB_E_SYNTAX);
}

static void times_are_exact_to_the_second(void **state)
{
    token_fixture *f = *state;
    const uint64_t exp = f->child.exp, iat = f->child.iat;
    const struct {
        const char *name;
        uint64_t now, purged, recovered;
        wb_token_code expected;
    } cases[] = {
        {"exp + 60", exp + 60, 0, 0, WB_E_EXPIRED},
        {"exp + 59", exp + 59, 0, 0, WB_E_NONE},
        {"iat = now + 61", iat - 61, 0, 0, WB_E_IAT_FUTURE},
        {"iat = now + 60", iat - 60, 0, 0, WB_E_NONE},
        {"the clock an hour back, its row purged", iat, exp, 0, WB_E_EXPIRED},
        {"an earlier row purged", iat, exp - 1, 0, WB_E_NONE},
        {"a gap found 59 s before iat", NOW, 0, iat - 59, WB_E_EXPIRED},
        {"a gap found 60 s before iat", NOW, 0, iat - 60, WB_E_NONE},
    };
    for (size_t i = 0; i < WB_COUNT(cases); i++) {
        f->in.now_s = cases[i].now;
        f->in.purged_exp_s = cases[i].purged;
        f->in.recovered_s = cases[i].recovered;
        assert_code(cases[i].name, fixture_verify(f).code, cases[i].expected);
    }
}

/* A longer chain: A -> B -> C -> D, as received by D. */
static void three_links(token_fixture *f, wb_slice out[3])
{
    wb_claims third = f->child;
    third.iss = WB_S(ID_C);
    third.aud = WB_S(ID_D);
    third.dep = 2;
    third.jti.b[0] ^= 0x40;
    wb_token_hash(f->child_jws, third.pth);
    out[0] = f->root_jws;
    out[1] = f->child_jws;
    out[2] = fixture_mint(f, f->c, &third);
    wb_slice texts[] = {fixture_trust_text(f, ID_A, f->a, ""),
                        fixture_trust_text(f, ID_B, f->b, ""),
                        fixture_trust_text(f, ID_C, f->c, "")};
    fixture_trust(f, texts, 3);
    f->in.ring = f->d;
    f->self_ids[0] = WB_S(ID_D);
}

static void cut_and_spliced_chains_are_refused(void **state)
{
    token_fixture *f = *state;
    wb_slice l[3];
    three_links(f, l);
    const struct {
        const char *name;
        wb_chain chain;
        wb_token_code expected;
    } cases[] = {
        {"no root", {{l[1], l[2]}, 2}, WB_E_CHAIN_ROOT},
        {"no middle", {{l[0], l[2]}, 2}, WB_E_CHAIN_HASH},
        {"no leaf", {{l[0], l[1]}, 2}, WB_E_AUD},
        {"the leaf alone", {{l[2]}, 1}, WB_E_CHAIN_LEN},
        {"the root twice", {{l[0], l[0], l[1], l[2]}, 4}, WB_E_CHAIN_HASH},
        {"whole", {{l[0], l[1], l[2]}, 3}, WB_E_NONE},
    };
    for (size_t i = 0; i < WB_COUNT(cases); i++) {
        f->in.chain = cases[i].chain;
        assert_code(cases[i].name, fixture_verify(f).code, cases[i].expected);
    }
}

static void one_order_of_three_links_passes(void **state)
{
    static const int orders[6][3] = {{0, 1, 2}, {0, 2, 1}, {1, 0, 2},
                                     {1, 2, 0}, {2, 0, 1}, {2, 1, 0}};
    token_fixture *f = *state;
    wb_slice l[3];
    int passed = 0;
    three_links(f, l);
    for (size_t i = 0; i < 6; i++) {
        f->in.chain =
            (wb_chain){.links = {l[orders[i][0]], l[orders[i][1]], l[orders[i][2]]}, .n = 3};
        if (fixture_verify(f).code == WB_E_NONE) passed++;
    }
    assert_int_equal(passed, 1);
}

static void no_flipped_byte_continues(void **state)
{
    token_fixture *f = *state;
    WB_AUTO(wb_arena) arena = wb_arena_new(WB_VERIFY_ARENA_BYTES);
    wb_slice good[2] = {f->root_jws, f->child_jws};
    for (size_t link = 0; link < 2; link++) {
        for (size_t i = 0; i < good[link].len; i++) {
            for (int bit = 0; bit < 8; bit++) {
                wb_verify_result result;
                wb_slice bent;
                wb_arena_reset(arena);
                assert_int_equal(wb_arena_dup(arena, good[link], &bent), WB_OK);
                ((uint8_t *)(uintptr_t)bent.ptr)[i] ^= (uint8_t)(1 << bit);
                f->in.chain.links[0] = good[0];
                f->in.chain.links[1] = good[1];
                f->in.chain.links[link] = bent;
                assert_int_equal(wb_token_verify(&f->in, arena, &result), WB_OK);
                wb_verdict v = wb_verdict_decide(&result, WB_REPLAY_NEW, false);
                if (v.verified || v.kind == WB_VERDICT_CONTINUE)
                    fail_msg("link %zu byte %zu bit %d: %s", link, i, bit, wb_verdict_name(v.kind));
            }
        }
    }
}

static void an_unknown_ancestor_leaves_the_chain_unproven(void **state)
{
    token_fixture *f = *state;
    fixture_trust_only(f, ID_B, f->b, "");
    wb_verify_result r = fixture_verify(f);
    assert_code("unknown ancestor", r.code, WB_E_NONE);
    assert_false(r.proven);
    assert_int_equal(r.warnings, WB_W_CHAIN_UNVERIFIED);
    assert_true(wb_slice_eq(r.speaks_for, WB_S(ID_B)));
    wb_verdict v = wb_verdict_decide(&r, WB_REPLAY_NEW, false);
    assert_int_equal(v.kind, WB_VERDICT_LINK);
    assert_true(v.verified);
    f->entries[0] = (wb_trust_policy){.id = WB_S(ID_B), .carry = true};
    f->policies.n = 1;
    assert_int_equal(fixture_verdict(f).kind, WB_VERDICT_CONTINUE);
}

static void a_lone_leaf_is_linked_not_continued(void **state)
{
    token_fixture *f = *state;
    lone_leaf_of_leaf_issuer(f);
    wb_verify_result r = fixture_verify(f);
    assert_false(r.proven);
    assert_int_equal(r.warnings, WB_W_CHAIN_UNVERIFIED);
    assert_int_equal(wb_verdict_decide(&r, WB_REPLAY_NEW, false).kind, WB_VERDICT_LINK);
}

static void a_lone_root_is_a_whole_chain(void **state)
{
    token_fixture *f = *state;
    f->root.aud = WB_S(ID_C);
    f->root_jws = fixture_mint(f, f->a, &f->root);
    f->in.chain = (wb_chain){.links = {f->root_jws}, .n = 1};
    f->in.message.method = WB_S("SendMessage");
    f->in.message.message_id = f->root.mid;
    f->in.message.context_id = (wb_slice){0};
    memcpy(f->in.message.digest, f->root.bdg, sizeof f->root.bdg);
    wb_verify_result r = fixture_verify(f);
    assert_code("a lone root", r.code, WB_E_NONE);
    assert_true(r.proven);
    assert_int_equal(fixture_verdict(f).kind, WB_VERDICT_CONTINUE);
}

static void what_is_signed_wins_over_the_header(void **state)
{
    token_fixture *f = *state;
    f->in.message.traceparent = WB_S("00-11111111111111111111111111111111-2222222222222222-01");
    assert_int_equal(fixture_verdict(f).warnings, WB_W_TRACEPARENT);
    assert_int_equal(fixture_verdict(f).kind, WB_VERDICT_CONTINUE);
    f->in.message.traceparent = WB_S("00-0af7651916cd43dd8448eb211c80319c-2222222222222222-01");
    assert_int_equal(fixture_verdict(f).warnings, 0);
    f->in.message.traceparent = WB_S("nonsense");
    assert_int_equal(fixture_verdict(f).warnings, 0);
}

static void the_table_of_verdicts_holds(void **state)
{
    token_fixture *f = *state;
    wb_verify_result r = fixture_verify(f);
    const wb_trust_policy stranger = {.verdict = WB_POLICY_LINK},
                          banned = {.verdict = WB_POLICY_REJECT}, friendly = r.policy;
    const struct {
        const char *name;
        wb_trust_policy policy;
        wb_replay_outcome replay;
        wb_verdict_kind kind;
        wb_token_code code;
        bool conflict, verified;
        uint32_t warnings;
        const char *wire_class;
    } cases[] = {
        {"the same jti, other bytes", friendly, WB_REPLAY_OTHER, WB_VERDICT_REJECT, WB_E_REPLAY,
         false, false, 0, "replayed"},
        {"no room for a row", friendly, WB_REPLAY_NO_ROOM, WB_VERDICT_REJECT, WB_E_REPLAY_FULL,
         false, false, 0, "refused"},
        {"an issuer that is rejected", banned, WB_REPLAY_NEW, WB_VERDICT_REJECT, WB_E_POLICY, false,
         false, 0, "refused"},
        {"a replay counts before the policy", banned, WB_REPLAY_OTHER, WB_VERDICT_REJECT,
         WB_E_REPLAY, false, false, 0, "replayed"},
        {"the same token again", friendly, WB_REPLAY_SAME, WB_VERDICT_DUPLICATE, WB_E_NONE, true,
         true, 0, "replayed"},
        {"a trace with another owner", friendly, WB_REPLAY_NEW, WB_VERDICT_LINK, WB_E_NONE, true,
         true, WB_W_TRACE_CONFLICT, ""},
        {"an issuer that is linked", stranger, WB_REPLAY_NEW, WB_VERDICT_LINK, WB_E_NONE, false,
         true, 0, ""},
        {"all is well", friendly, WB_REPLAY_NEW, WB_VERDICT_CONTINUE, WB_E_NONE, false, true, 0,
         ""},
    };
    for (size_t i = 0; i < WB_COUNT(cases); i++) {
        r.policy = cases[i].policy;
        wb_verdict v = wb_verdict_decide(&r, cases[i].replay, cases[i].conflict);
        assert_code(cases[i].name, v.code, cases[i].code);
        assert_int_equal(v.kind, cases[i].kind);
        assert_int_equal(v.verified, cases[i].verified);
        assert_string_equal(v.wire_class, cases[i].wire_class);
        assert_int_equal(v.warnings, cases[i].warnings);
    }
}

static void soft_codes_link_unless_required(void **state)
{
    token_fixture *f = *state;
    static const struct {
        change make;
        wb_token_code code;
    } cases[] = {{no_carrier, WB_E_MISSING},
                 {issuer_unknown, WB_E_ISS_UNKNOWN},
                 {issuer_with_anothers_key, WB_E_KEY_UNKNOWN}};
    for (size_t i = 0; i < WB_COUNT(cases); i++) {
        f->in.carrier = WB_E_NONE;
        f->policies.n = 0;
        cases[i].make(f);
        wb_verdict v = fixture_verdict(f);
        assert_int_equal(v.kind, WB_VERDICT_LINK);
        assert_false(v.verified);
        assert_code("soft", v.code, cases[i].code);
        f->entries[0] = (wb_trust_policy){.id = WB_S(ID_B), .require = true};
        f->policies.n = 1;
        f->in.peer_id = WB_S(ID_B); /* for MISSING, the id that the transport says */
        v = fixture_verdict(f);
        assert_int_equal(v.kind, WB_VERDICT_REJECT);
        assert_code("required", v.code, cases[i].code);
    }
}

static void the_result_holds_what_the_sidecar_needs(void **state)
{
    token_fixture *f = *state;
    wb_verify_result r = fixture_verify(f);
    uint8_t hash[WB_HASH_BYTES];
    wb_token_hash(f->child_jws, hash);
    assert_int_equal(r.n_links, 2);
    assert_ptr_equal(r.leaf, &r.links[1]);
    assert_memory_equal(r.leaf->hash, hash, sizeof hash);
    assert_true(wb_slice_eq(r.links[0].claims.aud, WB_S(ID_B)));
    assert_true(r.proven);
    assert_true(wb_slice_eq(r.speaks_for, WB_S(ID_A)));
    assert_int_equal(r.policy.verdict, WB_POLICY_CONTINUE);
    f->in.chain.links[1] = WB_S("x");
    r = fixture_verify(f);
    assert_null(r.leaf);
    assert_int_equal(r.n_links, 0);
}

static void a_small_arena_decides_nothing(void **state)
{
    token_fixture *f = *state;
    WB_AUTO(wb_arena) arena = wb_arena_new(4 * 1024);
    wb_verify_result r = {.code = WB_E_POLICY};
    assert_int_equal(wb_token_verify(&f->in, arena, &r), WB_ERR_NO_MEMORY);
    assert_int_equal(r.code, WB_E_POLICY);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_up, fixture_down)
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_refusal_has_its_code),
        cmocka_unit_test(each_chain_rule_has_its_code),
        cmocka_unit_test(of_two_faults_the_earlier_step_counts),
        TEST(chains_are_bounded_in_links_and_bytes),
        TEST(times_are_exact_to_the_second),
        TEST(cut_and_spliced_chains_are_refused),
        TEST(one_order_of_three_links_passes),
        TEST(no_flipped_byte_continues),
        TEST(an_unknown_ancestor_leaves_the_chain_unproven),
        TEST(a_lone_leaf_is_linked_not_continued),
        TEST(a_lone_root_is_a_whole_chain),
        TEST(what_is_signed_wins_over_the_header),
        TEST(the_table_of_verdicts_holds),
        TEST(soft_codes_link_unless_required),
        TEST(the_result_holds_what_the_sidecar_needs),
        TEST(a_small_arena_decides_nothing),
    };
    return cmocka_run_group_tests_name("verify", tests, NULL, NULL);
}
