# SPDX-License-Identifier: Apache-2.0
"""Steps 7 to 12 and 15 to 17 of docs/tokens.md section 8: audience, time, binding, keys, state."""

from __future__ import annotations

import itertools

import cases_form
from reference import curve, digest

from builder import (A, B, BDG_1, BDG_2, C, CHILD, D, FOREIGN, GONE, IAT, KEYS, NOBODY, NOLIM, NOW,
                     OTHER_TID, PARTS_1, ROOT, SALT_1, TID, WEB, Key, b64, bad_encodings, bundle,
                     child, claims, claims_1, claims_2, compact, duplicate, goes_on, hash_of,
                     header_of, jwk, link, one, parent, raw, reject, token, two, unverified)

FIRST = "f0f1f2f3f4f5f6f7f8f9fafbfcfdfeff"  # an acceptance of before


def example() -> None:
    one("example_root", goes_on())
    two("example_chain", goes_on())


def audience() -> None:
    """Step 7."""
    for name, value in {"trailing_slash": B + "/", "prefix": B + "2", "cut": B[:-1],
                        "punycode_twin": "spiffe://xn--example-cua.org/b", "https_twin":
                        "https://example.org/b", "port": "spiffe://example.org:1/b", "query": B + "?",
                        "percent": "spiffe://example.org/%62", "the_issuer": A, "another": NOBODY}.items():
        claims(f"aud_{name}", reject("AUD"), row=4, aud=value)
    one("aud_second_own_id", goes_on(), config={"self_ids": ["spiffe://example.org/b2", B]})
    one("aud_own_prefix", reject("AUD"), row=4, config={"self_ids": [B + "/"]})
    claims("order_aud_before_iat", reject("AUD"), aud=NOBODY, iat=NOW + 1000, exp=NOW + 1001)
    one("order_aud_before_expired", reject("AUD"), token(claims_1(aud=NOBODY)), now=NOW + 9999)
    one("order_aud_before_rate", reject("AUD"), token(claims_1(aud=NOBODY)), state={"rate_empty": True})


def at_iat(seconds: int) -> str:
    """A root signed `seconds` from NOW."""
    iat = NOW + seconds
    return token(claims_1(iat=iat, exp=iat + 120, dln=iat + 3600))


def time() -> None:
    """Step 8."""
    exp = IAT + 120
    one("now_exp_plus_59", goes_on(), now=exp + 59, row=17)
    one("now_exp_plus_60", reject("EXPIRED"), now=exp + 60, row=17)
    one("iat_now_plus_60", goes_on(), at_iat(60), row=17)
    one("iat_now_plus_61", reject("IAT_FUTURE"), at_iat(61), row=17)
    one("skew_0_now_exp_minus_1", goes_on(), now=exp - 1, config={"skew": 0})
    one("skew_0_now_exp", reject("EXPIRED"), now=exp, config={"skew": 0})
    one("skew_0_iat_now", goes_on(), at_iat(0), config={"skew": 0})
    one("skew_0_iat_now_plus_1", reject("IAT_FUTURE"), at_iat(1), config={"skew": 0})
    one("skew_300_now_exp_plus_299", goes_on(), now=exp + 299, config={"skew": 300})
    one("skew_300_now_exp_plus_300", reject("EXPIRED"), now=exp + 300, config={"skew": 300})
    one("clock_back_1_h", reject("IAT_FUTURE"), now=NOW - 3600, row=17)
    one("purged_exp", reject("EXPIRED"), state={"purged": exp}, row=17)
    one("purged_exp_minus_1", goes_on(), state={"purged": exp - 1}, row=17)
    one("recovered_iat_below", reject("EXPIRED"), state={"recovered": IAT - 59}, row=17)
    one("recovered_iat_at", goes_on(), state={"recovered": IAT - 60}, row=17)
    one("recovered_skew_0", goes_on(), state={"recovered": IAT}, config={"skew": 0})

    claims("ttl_exp_601", reject("TTL"), exp=IAT + 601)
    claims("ttl_exp_600", goes_on(), exp=IAT + 600)
    claims("ttl_exp_nolim", reject("TTL"), exp=NOLIM, dln=NOLIM, row=17)
    claims("ttl_exp_is_iat", reject("TTL"), exp=IAT, row=17)
    claims("ttl_exp_below_iat", reject("TTL"), exp=IAT - 1, row=17)
    claims("ttl_exp_iat_plus_1", goes_on(), exp=IAT + 1)
    claims("ttl_dln_below_exp", reject("TTL"), dln=IAT + 119)
    claims("ttl_dln_is_exp", goes_on(), dln=IAT + 120)
    claims("ttl_dln_86400", goes_on(), dln=IAT + 86400)
    claims("ttl_dln_86401", reject("TTL"), dln=IAT + 86401)
    claims("ttl_dln_nolim", reject("TTL"), dln=NOLIM)
    parent("ttl_ancestor_exp", reject("TTL"), exp=IAT + 601)
    parent("ttl_ancestor_dln", reject("TTL"), dln=IAT + 86401)
    parent("ancestor_long_expired", goes_on(), iat=IAT - 3000, exp=IAT - 2999)
    claims("order_iat_before_expired", reject("IAT_FUTURE"), iat=NOW + 61, exp=NOW - 60)
    one("order_expired_before_ttl", reject("EXPIRED"), token(claims_1(exp=IAT - 100)))
    one("order_purged_before_ttl", reject("EXPIRED"), token(claims_1(dln=IAT + 86401)),
        state={"purged": exp})
    one("order_ttl_before_bind", reject("TTL"), token(claims_1(exp=IAT + 601)),
        message={"method": "SendStreamingMessage"})
    root = token(claims_1(exp=IAT + 601))
    two("order_leaf_expired_before_ancestor_ttl", reject("EXPIRED"), root, token(claims_2(root)),
        now=IAT + 182)
    two("order_ancestor_ttl_before_bind", reject("TTL"), root, token(claims_2(root)),
        message={"messageId": "other"})


def changed_parts() -> list[tuple[str, list]]:
    text, file, data = PARTS_1
    return [("one_bit", [{"text": "Hh"}, file, data]), ("order", [file, text, data]),
            ("filename", [text, {**file, "filename": "b.bin"}, data]),
            ("media_type", [text, {**file, "mediaType": "text/plain"}, data]),
            ("part_dropped", [text, file]), ("part_added", [*PARTS_1, text]),
            ("text_as_data", [{"data": "Hi"}, file, data])]


def binding() -> None:
    """Step 9."""
    one("bind_method", reject("BIND_METHOD"), message={"method": "SendStreamingMessage"})
    one("bind_method_of_cancel", reject("BIND_METHOD"), message={"method": "CancelTask"})
    one("bind_method_0_3_name", reject("BIND_METHOD"), message={"method": "message/send"})
    one("bind_method_none", reject("BIND_METHOD"), message={"method": ""})
    one("bind_message", reject("BIND_MSG"), message={"messageId": "msg-2"}, row=3)
    one("bind_message_none", reject("BIND_MSG"), message={"messageId": ""})
    one("bind_message_case", reject("BIND_MSG"), message={"messageId": "MSG-1"})
    one("bind_message_prefix", reject("BIND_MSG"), message={"messageId": "msg-11"})
    one("bind_task_added", reject("BIND_TASK"), message={"taskId": "task-1"}, row=5)
    one("bind_context_added", reject("BIND_CTX"), message={"contextId": "ctx-1"}, row=5)
    two("bind_context_dropped", reject("BIND_CTX"), message={"contextId": GONE}, row=5)
    two("bind_context_changed", reject("BIND_CTX"), message={"contextId": "ctx-8"}, row=5)
    with_task = token(claims_1(bnd={"tsk": "task-1", "ctx": "ctx-1"}))
    both = {"taskId": "task-1", "contextId": "ctx-1"}
    one("bind_task_same", goes_on(), with_task, message=both)
    one("bind_task_dropped", reject("BIND_TASK"), with_task, message={"contextId": "ctx-1"}, row=5)
    one("bind_task_changed", reject("BIND_TASK"), with_task, message={**both, "taskId": "task-2"}, row=5)
    one("bind_task_empty_is_absent", goes_on(), message={"taskId": "", "contextId": ""})
    owner = {"sub": A, "iss": A}
    one("bind_task_own", goes_on(), with_task, message=both, state={"tasks": {"task-1": owner}})
    one("bind_task_of_another", reject("BIND_TASK"), with_task, message=both, row=5,
        state={"tasks": {"task-1": {"sub": NOBODY, "iss": NOBODY}}})
    one("bind_task_of_another_iss", reject("BIND_TASK"), with_task, message=both, row=5,
        state={"tasks": {"task-1": {"sub": A, "iss": NOBODY}}})
    one("bind_task_of_another_sub", reject("BIND_TASK"), with_task, message=both, row=5,
        state={"tasks": {"task-1": {"sub": NOBODY, "iss": A}}})
    one("bind_other_task_owned", goes_on(), with_task, message=both,
        state={"tasks": {"task-2": {"sub": NOBODY, "iss": NOBODY}}})
    for name, parts in changed_parts():
        found = b64(digest.body_digest(parts, SALT_1, "1.0"))
        one(f"bind_body_{name}", reject("BIND_BODY"), message={"bdg": found}, row=5)
    one("bind_body_other_salt", reject("BIND_BODY"),
        message={"bdg": b64(digest.body_digest(PARTS_1, SALT_1[::-1], "1.0"))})
    one("bind_body_no_digest", reject("BIND_BODY"), message={"bdg": None})
    wrong = [("BIND_METHOD", {"method": "SendStreamingMessage"}), ("BIND_MSG", {"messageId": "x"}),
             ("BIND_TASK", {"taskId": "x"}), ("BIND_CTX", {"contextId": "x"}), ("BIND_BODY", {"bdg": BDG_2})]
    for (code, first), (_, second) in itertools.pairwise(wrong):
        one(f"order_{code.lower()}_before_next", reject(code), message={**first, **second})
    one("order_bind_body_before_unknown_issuer", reject("BIND_BODY"), message={"bdg": BDG_2},
        config={"bundles": []})
    one("order_bind_before_rate", reject("BIND_MSG"), message={"messageId": "x"},
        state={"rate_empty": True})
    one("order_bind_owner_before_ctx", reject("BIND_TASK"), with_task,
        message={**both, "contextId": "x"}, state={"tasks": {"task-1": {"sub": B, "iss": B}}})


def keys() -> None:
    """Step 10."""
    empty = bundle("a_empty", A)
    other_use = bundle("a_other_use", A, {**jwk(KEYS["a"].x), "use": "sig"},
                       {"kty": "EC", "crv": "P-256", "x": "x", "y": "y", "kid": "ec", "use": "waybill"})
    window = bundle("a_window", A, jwk(KEYS["a"].x, wb_nbf=IAT, wb_exp=IAT + 1))
    late = bundle("a_late", A, jwk(KEYS["a"].x, wb_nbf=IAT + 1))
    ended = bundle("a_ended", A, jwk(KEYS["a"].x, wb_exp=IAT))
    rotated = bundle("a_rotated", A, jwk(KEYS["h"].x), jwk(KEYS["a"].x))
    both = bundle("a_with_keys_of_b", A, jwk(KEYS["b"].x))
    one("key_of_two", goes_on(), config={"bundles": [rotated]})
    one("key_window_inside", goes_on(), config={"bundles": [window]}, row=24)
    one("key_window_before", reject("KEY_TIME"), config={"bundles": [late]}, row=24)
    one("key_window_ended", reject("KEY_TIME"), config={"bundles": [ended]}, row=24)
    one("key_set_empty", reject("KEY_REVOKED"), config={"bundles": [empty]}, row=24)
    one("key_set_of_other_uses_is_empty", reject("KEY_REVOKED"), config={"bundles": [other_use]})
    one("issuer_unknown", unverified("ISS_UNKNOWN"), config={"bundles": []})
    one("issuer_unknown_enforce", reject("ISS_UNKNOWN"), config={"bundles": [], "mode": "enforce"})
    one("issuer_unknown_required", reject("ISS_UNKNOWN"),
        config={"bundles": [], "policies": {A: {"require": True}}})
    one("issuer_unknown_required_of_the_peer_only", unverified("ISS_UNKNOWN"), message={"peer": C},
        config={"bundles": [], "policies": {C: {"require": True}}})
    one("issuer_unknown_mode_of_entry", reject("ISS_UNKNOWN"),
        config={"bundles": [], "policies": {A: {"mode": "enforce"}}})
    one("issuer_unknown_policy_reject_is_soft", unverified("ISS_UNKNOWN"),
        config={"bundles": [], "policies": {A: {"verdict": "reject"}}})
    signed_by_b = token(claims_1(), KEYS["b"])
    one("key_of_another_issuer", unverified("KEY_UNKNOWN"), signed_by_b,
        config={"bundles": ["a", "b"]}, row=11)
    one("key_of_another_issuer_enforce", reject("KEY_UNKNOWN"), signed_by_b,
        config={"bundles": ["a", "b"], "mode": "enforce"}, row=11)
    one("key_unknown", unverified("KEY_UNKNOWN"), token(claims_1(), KEYS["h"]))
    one("key_unknown_bad_signature_is_not_looked_at", unverified("KEY_UNKNOWN"),
        raw(compact(header_of(KEYS["h"])), compact(claims_1()), KEYS["h"], bytes(64)))
    one("key_kid_of_another_key", reject("SIG"),
        token(claims_1(), KEYS["b"], header_of(KEYS["a"])), config={"bundles": ["a", "b"]}, row=11)
    one("key_shared_by_two_issuers", goes_on(), signed_by_b, config={"bundles": [both, "b"]})
    one("issuer_in_two_bundles", unverified("ISS_UNKNOWN"), config={"bundles": ["a", rotated]})
    secret = bundle("a_with_d", A, {**jwk(KEYS["a"].x), "d": b64(KEYS["a"].seed)})
    one("bundle_with_secret_key", unverified("ISS_UNKNOWN"), config={"bundles": [secret]})
    twice = bundle("a_key_twice", A, jwk(KEYS["a"].x), jwk(KEYS["a"].x))
    one("bundle_with_key_twice", unverified("ISS_UNKNOWN"), config={"bundles": [twice]})
    misnamed = bundle("a_wrong_kid", A, {**jwk(KEYS["a"].x), "kid": KEYS["b"].kid})
    one("bundle_with_wrong_kid", unverified("ISS_UNKNOWN"), config={"bundles": [misnamed]})
    foreign = bundle("b_with_key_of_a", B, jwk(KEYS["a"].x))
    own = token(claims_1(iss=B, sub=B), KEYS["a"])
    one("own_id_looks_in_the_key_ring_only", unverified("KEY_UNKNOWN"), own,
        config={"bundles": [foreign], "callbacks": True})

    for kind, value in {"iss": A, "kid": KEYS["a"].kid, "tth": hash_of(ROOT)}.items():
        one(f"revoked_{kind}", reject("KEY_REVOKED"), row=24, config={"revoked": [f"{kind} {value} {NOW}"]})
        one(f"revoked_{kind}_later", goes_on(), row=24, config={"revoked": [f"{kind} {value} {NOW + 1}"]})
    one("revoked_others", goes_on(), config={"revoked": [
        f"iss {B} 0", f"kid {KEYS['b'].kid} 0", f"tth {hash_of(CHILD)} 0"]})
    one("revoked_long_before_iat", reject("KEY_REVOKED"), config={"revoked": [f"iss {A} 1"]})
    one("order_revoked_before_issuer_unknown", reject("KEY_REVOKED"), row=24,
        config={"bundles": [], "revoked": [f"iss {A} {NOW}"]})
    one("order_revoked_before_key_unknown", reject("KEY_REVOKED"), token(claims_1(), KEYS["h"]),
        config={"revoked": [f"kid {KEYS['h'].kid} {NOW}"]})
    one("order_key_time_before_rate", reject("KEY_TIME"), config={"bundles": [late]},
        state={"rate_empty": True})
    one("order_key_time_before_signature", reject("KEY_TIME"), ROOT[:-4] + "AAAA",
        config={"bundles": [late]})
    one("order_bind_before_revoked", reject("BIND_MSG"), message={"messageId": "x"},
        config={"revoked": [f"iss {A} 0"]})


def rate() -> None:
    """Step 11."""
    one("rate_empty", reject("RATE"), state={"rate_empty": True}, row=19)
    one("order_rate_before_signature", reject("RATE"), ROOT[:-4] + "AAAA", state={"rate_empty": True})
    two("order_rate_before_chain", reject("RATE"), CHILD, CHILD, state={"rate_empty": True})
    one("order_issuer_unknown_before_rate", unverified("ISS_UNKNOWN"), state={"rate_empty": True},
        config={"bundles": []})
    one("order_key_unknown_before_rate", unverified("KEY_UNKNOWN"), token(claims_1(), KEYS["h"]),
        state={"rate_empty": True})


def with_signature(signature: bytes) -> str:
    return raw(compact(header_of(KEYS["a"])), compact(claims_1()), KEYS["a"], signature)


def equation_signature(key: Key, message: bytes, extra: curve.Point, a: bytes) -> bytes:
    """R = [r]B + extra, and S that satisfies the equation multiplied by 8, whatever `extra` is."""
    r = 123456789
    point = curve.encode(curve.add(curve.multiply(r, curve.BASE), extra))
    s = (r + curve.challenge(point, a, message) * key.scalar) % curve.L
    return point + s.to_bytes(32, "little")


def whole_equation(a: bytes) -> str:
    """A root by the key of which `a` is the point and another of order 8: r such that k is a multiple
    of 8, so that the other vanishes from [k]A."""
    head = {**header_of(KEYS["a"]), "kid": jwk(a)["kid"]}
    signed = f"{b64(compact(head).encode())}.{b64(compact(claims_1()).encode())}".encode()
    r = 0
    while True:
        r += 1
        point = curve.encode(curve.multiply(r, curve.BASE))
        k = curve.challenge(point, a, signed)
        if k % 8 == 0:
            s = (r + k * KEYS["a"].scalar) % curve.L
            return f"{signed.decode()}.{b64(point + s.to_bytes(32, 'little'))}"


def signatures() -> None:
    """Step 12."""
    good = KEYS["a"].sign(".".join(ROOT.split(".")[:2]).encode())
    r, s = good[:32], int.from_bytes(good[32:], "little")
    one("signature_s_plus_l", reject("SIG"), with_signature(r + (s + curve.L).to_bytes(32, "little")),
        row=12)
    one("signature_s_plus_8_l", reject("SIG"),
        with_signature(r + (s + 8 * curve.L).to_bytes(32, "little")), row=12)
    one("signature_s_is_l", reject("SIG"), with_signature(r + curve.L.to_bytes(32, "little")), row=12)
    one("signature_s_0", reject("SIG"), with_signature(r + bytes(32)), row=12)
    one("signature_s_all_ones", reject("SIG"), with_signature(r + b"\xff" * 32), row=12)
    one("signature_all_zero", reject("SIG_POINT"), with_signature(bytes(64)), row=12)
    one("signature_of_another_payload", reject("SIG"),
        with_signature(KEYS["a"].sign(CHILD.rpartition(".")[0].encode())), row=1)
    one("signature_of_the_payload_alone", reject("SIG"),
        with_signature(KEYS["a"].sign(compact(claims_1()).encode())), row=1)
    one("signature_by_another_key", reject("SIG"),
        token(claims_1(), KEYS["h"], header_of(KEYS["a"])), row=1)
    one("signature_claim_changed", reject("SIG"), ROOT.split(".")[0] + "." + b64(compact(
        claims_1(lim={"cost": 500001})).encode()) + "." + b64(good), row=1)
    one("signature_header_changed", reject("SIG"), b64(compact(
        {**header_of(KEYS["a"]), "alg": "EdDSA"}).encode()) + ROOT[ROOT.index("."):], row=1)
    for name, encoding in bad_encodings():
        one(f"point_r_{name}", reject("SIG_POINT"), with_signature(encoding + good[32:]), row=12)
    signed = ROOT.rpartition(".")[0].encode()
    order_8 = curve.decode(bad_encodings()[1][1])
    assert order_8 is not None
    one("point_r_that_only_the_cofactor_would_save", reject("SIG_POINT"),
        with_signature(equation_signature(KEYS["a"], signed, order_8, KEYS["a"].x)), row=12)
    one("signature_odd_but_right", goes_on(),
        with_signature(equation_signature(KEYS["a"], signed, curve.IDENTITY, KEYS["a"].x)), row=12)
    one("order_point_before_signature", reject("SIG_POINT"),
        with_signature(bytes(32) + b"\xff" * 32), row=12)

    for name, encoding in bad_encodings():
        x = bundle(f"a_point_{name}", A, jwk(encoding))
        head = {**header_of(KEYS["a"]), "kid": jwk(encoding)["kid"]}
        small = raw(compact(head), compact(claims_1()), KEYS["a"], encoding + bytes(32))
        one(f"point_a_{name}", unverified("ISS_UNKNOWN"), small, config={"bundles": [x]}, row=12)
    mixed = curve.encode(curve.add(curve.multiply(KEYS["a"].scalar, curve.BASE), order_8))
    one("point_a_mixed_that_any_equation_holds_for", unverified("ISS_UNKNOWN"), whole_equation(mixed),
        config={"bundles": [bundle("a_point_of_a_mixed_key", A, jwk(mixed))]}, row=12)
    one("point_a_refuses_the_whole_bundle", unverified("ISS_UNKNOWN"), row=12,
        config={"bundles": [bundle("a_good_and_bad_point", A, jwk(KEYS["a"].x), jwk(bytes(32)))]})
    two("order_leaf_signature_before_chain", reject("SIG"), CHILD, CHILD[:-4] + "AAAA")
    two("order_leaf_signature_before_ancestor", reject("SIG"), ROOT[:-4] + "AAAA", CHILD[:-4] + "AAAA")


def replay() -> None:
    """Steps 15 to 17, and section 11."""
    row = {"iss": A, "jti": claims_1()["jti"], "hash": hash_of(ROOT), "acceptance": FIRST}
    other = {**row, "hash": hash_of(CHILD)}
    one("replay_same", duplicate(FIRST), state={"replay": [row]}, row=3)
    one("replay_other_bytes", reject("REPLAY"), state={"replay": [other]}, row=3)
    one("replay_same_claims_other_header", reject("REPLAY"),
        token(claims_1(), header={**header_of(KEYS["a"]), "alg": "EdDSA"}), state={"replay": [row]}, row=3)
    one("replay_row_of_another_issuer", goes_on(), state={"replay": [{**row, "iss": NOBODY}]})
    one("replay_row_of_another_jti", goes_on(), state={"replay": [{**row, "jti": claims_2()["jti"]}]})
    two("replay_row_of_the_parent", goes_on(), state={"replay": [row]})
    one("replay_expired_first", reject("EXPIRED"), now=IAT + 180, state={"replay": [row]}, row=3)
    one("replay_other_message_first", reject("BIND_MSG"), message={"messageId": "msg-9"},
        state={"replay": [row]}, row=3)
    one("replay_full", reject("REPLAY_FULL"), state={"replay_full": True})
    one("replay_full_but_known", duplicate(FIRST), state={"replay_full": True, "replay": [row]})
    one("replay_full_but_other", reject("REPLAY"), state={"replay_full": True, "replay": [other]})
    lone = {"iss": B, "jti": claims_2()["jti"], "hash": hash_of(CHILD), "acceptance": FIRST}
    two("replay_unproven", duplicate(FIRST, "CHAIN_UNVERIFIED"), config={"bundles": ["b"]},
        state={"replay": [lone]})
    two("replay_unproven_other", reject("REPLAY", "CHAIN_UNVERIFIED"), config={"bundles": ["b"]},
        state={"replay": [{**lone, "hash": hash_of(ROOT)}]})
    one("order_duplicate_before_warnings", duplicate(FIRST), state={"replay": [row], "owners": {TID: NOBODY}},
        message={"traceparent": f"00-{OTHER_TID}-00f067aa0ba902b7-01"})
    one("order_duplicate_before_policy", duplicate(FIRST), state={"replay": [row]},
        config={"policies": {A: {"verdict": "reject"}}})
    one("order_replay_full_before_policy", reject("REPLAY_FULL"), state={"replay_full": True},
        config={"policies": {A: {"verdict": "reject"}}})
    two("order_chain_sig_before_replay", reject("CHAIN_SIG"), *bad_ancestor(),
        state={"replay": [{**lone, "hash": hash_of(ROOT)}]})
    two("order_chain_before_replay", reject("ATT_MXD"), ROOT, token(claims_2(mxd=5)),
        state={"replay": [lone]})


def bad_ancestor() -> tuple[str, str]:
    root = ROOT[:-4] + "AAAA"
    return root, token(claims_2(root))


def owners() -> None:
    """Step 16."""
    one("owner_same", goes_on(), state={"owners": {TID: A}})
    one("owner_another", link("TRACE_CONFLICT"), state={"owners": {TID: NOBODY}}, row=2)
    one("owner_of_another_trace", goes_on(), state={"owners": {OTHER_TID: NOBODY}})
    two("owner_is_the_subject", goes_on(), state={"owners": {TID: A}})
    two("owner_is_the_issuer_only", link("TRACE_CONFLICT"), state={"owners": {TID: B}}, row=2)
    two("owner_of_unproven_is_the_issuer", link("CHAIN_UNVERIFIED"), state={"owners": {TID: B}},
        config={"bundles": ["b"]})
    two("owner_of_unproven_is_not_the_subject", link("CHAIN_UNVERIFIED", "TRACE_CONFLICT"),
        state={"owners": {TID: A}}, config={"bundles": ["b"]})
    two("owner_conflict_beats_carry", link("CHAIN_UNVERIFIED", "TRACE_CONFLICT"),
        state={"owners": {TID: A}}, config={"bundles": ["b"], "policies": {B: {"carry": True}}})
    for name, header in {"other": f"00-{OTHER_TID}-00f067aa0ba902b7-01",
                         "other_later_version": f"cc-{OTHER_TID}-00f067aa0ba902b7-01-what"}.items():
        one(f"traceparent_{name}", goes_on("TRACEPARENT"), message={"traceparent": header})
    for name, header in {
            "same": f"00-{TID}-00f067aa0ba902b7-01", "empty": "", "upper_case": f"00-{OTHER_TID.upper()}-00f067aa0ba902b7-01",
            "version_ff": f"ff-{OTHER_TID}-00f067aa0ba902b7-01", "zero_trace": f"00-{'0' * 32}-00f067aa0ba902b7-01",
            "zero_span": f"00-{OTHER_TID}-{'0' * 16}-01", "long": f"00-{OTHER_TID}-00f067aa0ba902b7-01-x",
            "short": f"00-{OTHER_TID}-00f067aa0ba902b7"}.items():
        one(f"traceparent_{name}", goes_on(), message={"traceparent": header})
    one("traceparent_and_owner", link("TRACE_CONFLICT", "TRACEPARENT"), state={"owners": {TID: NOBODY}},
        message={"traceparent": f"00-{OTHER_TID}-00f067aa0ba902b7-01"})
    two("all_warnings", link("CHAIN_UNVERIFIED", "TRACE_CONFLICT", "TRACEPARENT"),
        config={"bundles": ["b"]}, state={"owners": {TID: A}},
        message={"traceparent": f"00-{OTHER_TID}-00f067aa0ba902b7-01"})


def policies() -> None:
    """Step 17, and the table of section 10."""
    def entry(**members: object) -> dict:
        return {"policies": {A: members}}

    one("policy_reject", reject("POLICY"), config=entry(verdict="reject"))
    one("policy_reject_with_warnings", reject("POLICY", "TRACE_CONFLICT", "TRACEPARENT"),
        config=entry(verdict="reject"), state={"owners": {TID: NOBODY}},
        message={"traceparent": f"00-{OTHER_TID}-00f067aa0ba902b7-01"})
    one("policy_link", link(), config=entry(verdict="link"))
    one("policy_of_another", goes_on(), config={"policies": {NOBODY: {"verdict": "reject"}}})
    one("policy_enforce_good", goes_on(), config={"mode": "enforce"})
    one("policy_observe_good", goes_on(), config={"mode": "observe"})
    one("policy_observe_records", reject("EXPIRED"), config={"mode": "observe"}, now=NOW + 9999)
    two("policy_of_the_leaf_issuer", reject("POLICY"), config={"policies": {B: {"verdict": "reject"}}})
    two("policy_of_an_ancestor_counts_not", goes_on(), config={"policies": {A: {"verdict": "reject"}}})
    foreign = {key: FOREIGN for key in ("iss", "sub")}
    one("policy_foreign_domain_links", link(), token(claims_1(**foreign)), config={"bundles": ["f"]})
    one("policy_foreign_domain_continue", goes_on(), token(claims_1(**foreign)),
        config={"bundles": ["f"], "policies": {FOREIGN: {"verdict": "continue"}}})
    web = {key: WEB for key in ("iss", "sub")}
    one("policy_https_links", link(), token(claims_1(**web)), config={"bundles": ["g"]})
    one("policy_domain_is_of_the_first_own_id", link(),
        config={"self_ids": ["https://agents.example.net/b", B]})
    near = "spiffe://example.org.evil.example/a"
    one("policy_domain_prefix_links", link(), token(claims_1(iss=near, sub=near), KEYS["a"]),
        config={"bundles": [bundle("near", near, jwk(KEYS["a"].x))]})
    two("unproven_links", link("CHAIN_UNVERIFIED"), config={"bundles": ["b"]})
    two("unproven_carry", goes_on("CHAIN_UNVERIFIED"),
        config={"bundles": ["b"], "policies": {B: {"carry": True}}})
    two("unproven_carry_policy_link", link("CHAIN_UNVERIFIED"),
        config={"bundles": ["b"], "policies": {B: {"carry": True, "verdict": "link"}}})
    two("unproven_enforce", link("CHAIN_UNVERIFIED"), config={"bundles": ["b"], "mode": "enforce"})


def cases() -> None:
    example()
    audience()
    time()
    binding()
    keys()
    rate()
    signatures()
    replay()
    owners()
    policies()
