# SPDX-License-Identifier: Apache-2.0
"""Steps 13 and 14 of docs/tokens.md section 8: the rules of section 9, ancestors."""

from __future__ import annotations

import itertools
from typing import Any

from builder import (A, B, C, CHILD, D, E, FOREIGN, GONE, IAT, KEYS, NOBODY, NOLIM, NOW, OTHER_TID,
                     ROOT, bundle, child, claims, claims_1, claims_2, goes_on, hash_of, in_order,
                     jwk, link, merge, one, parent, reject, token, two)


def chain_of(*ids: str, leaf: dict[str, Any] | None = None) -> list[str]:
    """Links along `ids`; the last one is for the message of `two`."""
    links = [token(claims_1(iss=ids[0], sub=ids[0], aud=ids[1]))]
    for i in range(1, len(ids) - 1):
        links.append(token(in_order(claims_2(
            links[-1], iss=ids[i], sub=ids[0], aud=ids[i + 1], dep=i,
            jti="sLGys7S1tre4ubq7vL2-v" + "AQgw"[i], **(leaf or {})))))
    return links


def relations() -> None:
    """The rows of section 9, in their order."""
    two("chain_lone_child", reject("CHAIN_LEN"), CHILD, row=8)
    two("chain_lone_child_policy_leaf", link("CHAIN_UNVERIFIED"), CHILD, row=8,
        config={"policies": {B: {"chain": "leaf"}}})
    two("chain_lone_child_policy_leaf_carry", goes_on("CHAIN_UNVERIFIED"), CHILD,
        config={"policies": {B: {"chain": "leaf", "carry": True}}})
    foreign = token(claims_2(iss=FOREIGN))
    two("chain_lone_child_of_a_foreign_domain", link("CHAIN_UNVERIFIED"), foreign, row=8,
        config={"bundles": ["f"]})
    two("chain_lone_child_of_a_foreign_domain_full", reject("CHAIN_LEN"), foreign,
        config={"bundles": ["f"], "policies": {FOREIGN: {"chain": "full"}}})
    two("chain_len_needs_the_key_first", reject("SIG"), CHILD[:-4] + "AAAA")

    three = chain_of(A, B, D, C)
    config = {"bundles": ["a", "b", "d"]}
    two("chain_three", goes_on(), *three, config=config)
    two("chain_three_no_root", reject("CHAIN_ROOT"), *three[1:], config=config, row=8)
    two("chain_three_no_middle", reject("CHAIN_HASH"), three[0], three[2], config=config, row=8)
    two("chain_three_no_leaf", reject("AUD"), *three[:2], config=config, row=8)
    two("chain_three_leaf_alone", reject("CHAIN_LEN"), three[2], config=config, row=8)
    two("chain_three_leaf_alone_policy_leaf", link("CHAIN_UNVERIFIED"), three[2], row=8,
        config={**config, "policies": {D: {"chain": "leaf"}}})
    two("chain_parent_equal_but_for_jti", reject("CHAIN_HASH"),
        token(claims_1(jti="oKGio6SlpqeoqaqrrK2urA")), CHILD, row=8)
    two("chain_root_twice", reject("CHAIN_HASH"), ROOT, ROOT, CHILD)
    two("chain_leaf_twice", reject("CHAIN_HASH"), ROOT, CHILD, CHILD)
    four = chain_of(A, B, D, E, C)
    for places in itertools.permutations(range(4)):
        name = "chain_order_" + "".join(str(place + 1) for place in places)
        expect = goes_on()
        if places[-1] != 3:
            expect = reject("AUD")
        elif places[0] != 0:
            expect = reject("CHAIN_ROOT")
        elif places != (0, 1, 2, 3):
            expect = reject("CHAIN_HASH")
        two(name, expect, *(four[place] for place in places), row=9,
            config={"bundles": ["a", "b", "d", "e"]})

    claims("sub_of_a_root", reject("CHAIN_SUB"), sub=NOBODY)
    parent("sub_of_the_root_of_two", reject("CHAIN_SUB"), sub=NOBODY, child={"sub": NOBODY})
    child("sub_changed", reject("CHAIN_SUB"), sub=B)
    child("pth_of_another", reject("CHAIN_HASH"), pth=hash_of(CHILD))
    parent("iss_is_not_the_parents_aud", reject("CHAIN_ALIGN"), aud=D)
    parent("cnf_names_the_key", goes_on(), cnf={"jkt": KEYS["b"].kid})
    parent("cnf_names_another_key", reject("CHAIN_CNF"), cnf={"jkt": KEYS["h"].kid})
    child("cnf_of_the_leaf_counts_not", goes_on(), cnf={"jkt": KEYS["h"].kid})
    child("dep_skips", reject("CHAIN_DEPTH"), dep=2)
    child("dep_0_in_a_child", reject("CLAIM_RANGE"), dep=0)
    child("tid_changed", reject("CHAIN_TRACE"), tid=OTHER_TID)
    lnk = {"tth": hash_of(CHILD), "hop": 3}
    parent("lnk_copied", goes_on(), lnk=lnk, child={"lnk": lnk})
    parent("lnk_dropped", reject("CHAIN_ROOT"), lnk=lnk)
    parent("lnk_hop_changed", reject("CHAIN_ROOT"), lnk=lnk, child={"lnk": {**lnk, "hop": 4}})
    parent("lnk_tth_changed", reject("CHAIN_ROOT"), lnk=lnk, child={"lnk": {**lnk, "tth": hash_of(ROOT)}})
    child("lnk_added", reject("CHAIN_ROOT"), lnk=lnk)
    child("mxd_same", goes_on(), mxd=4)
    child("mxd_lower", goes_on(), mxd=1)
    child("mxd_raised", reject("ATT_MXD"), mxd=5)
    parent("sealed", reject("ATT_MXD"), mxd=0, child={"mxd": 1})


def attenuation() -> None:
    times = {"iat": IAT + 62, "exp": IAT + 182}
    parent("att_time_parent_60_later", goes_on(), **times)
    parent("att_time_parent_61_later", reject("ATT_TIME"), iat=IAT + 63, exp=IAT + 183)
    ended = {"iat": IAT - 100, "exp": IAT - 50}
    late = {"dln": IAT + 122}
    parent("att_time_child_at_dln", reject("ATT_DLN"), **ended, dln=IAT + 2, child=late)
    parent("att_time_child_after_dln", reject("ATT_TIME"), **ended, dln=IAT + 1, child=late)
    child("att_dln_same", goes_on(), dln=IAT + 3600)
    child("att_dln_plus_1", reject("ATT_DLN"), dln=IAT + 3601)
    child("att_cur", reject("ATT_CUR"), lim={"cur": "EUR"}, row=7)
    limits = {"cost": 500000, "tok": 200000, "ms": 600000}
    child("att_lim_same", goes_on(), lim=limits)
    for name, value in limits.items():
        child(f"att_lim_{name}_plus_1", reject("ATT_LIM"), lim={name: value + 1}, row=7)
        child(f"att_lim_{name}_nolim", reject("ATT_LIM"), lim={name: NOLIM}, row=7)
        parent(f"att_lim_{name}_under_nolim", goes_on(), lim={name: NOLIM}, child={"lim": {name: NOLIM}})
    skills = ["find", "read", "write"]
    parent("scp_same", goes_on(), scp=skills, child={"scp": skills})
    parent("scp_reordered", goes_on(), scp=skills, child={"scp": skills[::-1]})
    parent("scp_narrowed", goes_on(), scp=skills, child={"scp": ["read"]})
    parent("scp_to_nothing", goes_on(), scp=skills, child={"scp": []})
    parent("scp_dropped", reject("ATT_SCP"), scp=skills)
    parent("scp_widened", reject("ATT_SCP"), scp=skills, child={"scp": [*skills, "delete"]})
    parent("scp_changed_case", reject("ATT_SCP"), scp=skills, child={"scp": ["Read"]})
    parent("scp_of_an_empty_parent", reject("ATT_SCP"), scp=[], child={"scp": ["read"]})
    child("scp_added", goes_on(), scp=["read"])


def loops() -> None:
    back = chain_of(C, B, C)
    config = {"bundles": ["b"]}
    two("loop_back_to_the_root", reject("LOOP"), *back, config=config, row=9)
    two("loop_back_allowed", goes_on(), *back, config={**config, "callbacks": True}, row=9)
    one("loop_to_itself", reject("LOOP"), token(claims_1(iss=B, sub=B)), row=9)
    one("loop_to_itself_allowed", goes_on(), token(claims_1(iss=B, sub=B)), config={"callbacks": True})
    inner = chain_of(A, B, A, C)
    two("loop_among_ancestors", reject("LOOP"), *inner, config={"bundles": ["a", "b"]}, row=9)
    itself = chain_of(A, A, C)
    two("loop_of_the_root_to_itself", reject("LOOP"), *itself, config={"bundles": ["a"]}, row=9)
    claims("hop_16", goes_on(), lnk={"tth": hash_of(CHILD), "hop": 16}, row=9)
    claims("hop_17", reject("HOP"), lnk={"tth": hash_of(CHILD), "hop": 17}, row=9)
    claims("hop_nolim", reject("HOP"), lnk={"tth": hash_of(CHILD), "hop": NOLIM})
    one("order_loop_before_hop", reject("LOOP"),
        token(in_order(claims_1(iss=B, sub=B, lnk={"tth": hash_of(CHILD), "hop": 17}))))


def orders() -> None:
    """Each row of section 9 before the next."""
    faults: list[tuple[str, dict[str, Any], dict[str, Any]]] = [
        ("CHAIN_ROOT", {"dep": 1, "pth": hash_of(CHILD)}, {"dep": 2}),
        ("CHAIN_SUB", {"sub": NOBODY}, {"sub": NOBODY}),
        ("CHAIN_HASH", {}, {"pth": hash_of(CHILD)}),
        ("CHAIN_ALIGN", {"aud": D}, {}),
        ("CHAIN_CNF", {"cnf": {"jkt": KEYS["h"].kid}}, {}),
        ("CHAIN_DEPTH", {}, {"dep": 2}),
        ("CHAIN_TRACE", {}, {"tid": OTHER_TID}),
        ("CHAIN_SUB", {}, {"sub": B}),
        ("CHAIN_ROOT", {}, {"lnk": {"tth": hash_of(CHILD), "hop": 1}}),
        ("ATT_MXD", {}, {"mxd": 5}),
        ("ATT_TIME", {"iat": IAT + 63, "exp": IAT + 183}, {}),
        ("ATT_DLN", {"dln": IAT + 2000}, {}),
        ("ATT_CUR", {}, {"lim": {"cur": "EUR"}}),
        ("ATT_LIM", {}, {"lim": {"cost": NOLIM}}),
        ("ATT_SCP", {"scp": ["read"]}, {}),
        ("LOOP", {}, {"aud": C}),
    ]
    for (code, root, leaf), (later, root_2, leaf_2) in itertools.pairwise(faults[:-1]):
        made = token(in_order(claims_1(**merge(root, root_2))), KEYS["a"])
        two(f"order_{code.lower()}_before_{later.lower()}", reject(code), made,
            token(in_order(claims_2(made, **merge(leaf, leaf_2))), KEYS["b"]))
    back = token(in_order(claims_1(iss=C, sub=C, scp=["read"])))
    two("order_att_scp_before_loop", reject("ATT_SCP"), back, token(claims_2(back, sub=C)),
        config={"bundles": ["b"]})
    middle = token(in_order(claims_2(aud=D, mxd=5)))
    leaf = token(in_order(claims_2(middle, iss=D, dep=2, mxd=5, pth=hash_of(CHILD))))
    two("order_upper_pair_first", reject("ATT_MXD"), ROOT, middle, leaf,
        config={"bundles": ["a", "b", "d"]})
    back = chain_of(C, B, C)[0][:-4] + "AAAA"
    two("order_loop_before_chain_sig", reject("LOOP"), back, token(claims_2(back, sub=C)),
        config={"bundles": ["b"]})


def ancestors() -> None:
    """Step 14."""
    root = ROOT[:-4] + "AAAA"
    two("ancestor_signature", reject("CHAIN_SIG"), root, token(claims_2(root)), row=1)
    head, body, _ = ROOT.split(".")
    point = f"{head}.{body}.{'A' * 86}"
    two("ancestor_point", reject("CHAIN_SIG"), point, token(claims_2(point)), row=12)
    two("ancestor_issuer_unknown", link("CHAIN_UNVERIFIED"), config={"bundles": ["b"]})
    by_h = token(claims_1(), KEYS["h"])
    two("ancestor_key_unknown", link("CHAIN_UNVERIFIED"), by_h, token(claims_2(by_h)))
    two("ancestor_revoked_iss", reject("CHAIN_SIG"), config={"revoked": [f"iss {A} {NOW}"]}, row=24)
    two("ancestor_revoked_kid", reject("CHAIN_SIG"), row=24,
        config={"revoked": [f"kid {KEYS['a'].kid} {NOW}"]})
    two("ancestor_revoked_tth", reject("CHAIN_SIG"), config={"revoked": [f"tth {hash_of(ROOT)} {NOW}"]},
        row=24)
    two("ancestor_revoked_later", goes_on(), config={"revoked": [f"iss {A} {NOW + 1}"]})
    two("ancestor_key_set_empty", reject("CHAIN_SIG"), row=24,
        config={"bundles": [bundle("a_no_keys", A), "b"]})
    two("ancestor_key_time", reject("CHAIN_SIG"), row=24, config={
        "bundles": [bundle("a_not_yet", A, jwk(KEYS["a"].x, wb_nbf=IAT + 1)), "b"]})
    two("ancestor_revoked_though_unknown", reject("CHAIN_SIG"),
        config={"bundles": ["b"], "revoked": [f"iss {A} 0"]})
    three = chain_of(A, B, D, C)
    two("ancestor_middle_unknown", link("CHAIN_UNVERIFIED"), *three, config={"bundles": ["a", "d"]})
    bad = three[0][:-4] + "AAAA"
    middle = token(claims_2(bad, aud=D))
    leaf = token(claims_2(middle, iss=D, dep=2))
    two("ancestor_bad_above_an_unknown_one", reject("CHAIN_SIG"), bad, middle, leaf,
        config={"bundles": ["a", "d"]})
    two("order_chain_sig_before_policy", reject("CHAIN_SIG"), root, token(claims_2(root)),
        config={"policies": {B: {"verdict": "reject"}}})
    two("order_chain_sig_before_replay_full", reject("CHAIN_SIG"), root, token(claims_2(root)),
        state={"replay_full": True})


def cases() -> None:
    relations()
    attenuation()
    loops()
    orders()
    ancestors()
