# SPDX-License-Identifier: Apache-2.0
"""Sections 2, 4, 5, 8 to 11 and 13 of docs/tokens.md over one case of the published vectors."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import re
from collections.abc import Iterator
from typing import Any

from nacl.signing import SigningKey

from reference import curve
from reference.strict import ANY, NOLIM, TOKEN, Fault, b64url, read_object

MALFORMED, STALE, UNAUTHENTICATED, REPLAYED, REFUSED = (
    "malformed", "stale", "unauthenticated", "replayed", "refused")
CLASSES = {
    MALFORMED: "CARRIER CHAIN_LEN SIZE SYNTAX B64 UTF8 JSON JSON_DUP NUM DEPTH_JSON CRIT HDR ALG TYP"
    " KID VER CLAIM_MISSING CLAIM_TYPE LIM_UNKNOWN CLAIM_RANGE",
    STALE: "IAT_FUTURE EXPIRED TTL ATT_TIME ATT_DLN",
    UNAUTHENTICATED: "AUD BIND_METHOD BIND_MSG BIND_TASK BIND_CTX BIND_BODY KEY_REVOKED ISS_UNKNOWN"
    " KEY_UNKNOWN KEY_TIME SIG_POINT SIG CHAIN_SIG CHAIN_ROOT CHAIN_SUB CHAIN_HASH CHAIN_ALIGN"
    " CHAIN_CNF CHAIN_DEPTH CHAIN_TRACE ATT_MXD ATT_CUR ATT_LIM ATT_SCP",
    REPLAYED: "REPLAY",
    REFUSED: "MISSING RATE REPLAY_FULL POLICY LOOP HOP",
}
CLASS_OF = {f"WB_E_{code}": name for name, codes in CLASSES.items() for code in codes.split()}
SOFT = {"WB_E_MISSING", "WB_E_ISS_UNKNOWN", "WB_E_KEY_UNKNOWN"}
WARNINGS = ("WB_W_CHAIN_UNVERIFIED", "WB_W_TRACE_CONFLICT", "WB_W_TRACEPARENT")
METHODS = ("SendMessage", "SendStreamingMessage")


@dataclasses.dataclass
class Token:
    signed: bytes
    signature: bytes
    hash: str
    kid: str
    claims: dict[str, Any]


def sha256_b64(data: bytes) -> str:
    return _b64(hashlib.sha256(data).digest())


def _b64(data: bytes) -> str:
    import base64

    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def check(good: bool, code: str) -> None:
    if not good:
        raise Fault(code)


# ---- steps 1 and 2: the carrier (section 2) ------------------------------------------------------


def read_carrier(text: str) -> list[str]:
    check(text.strip() not in ("", "null"), "WB_E_MISSING")
    try:
        carrier = read_object(text.encode(), ANY)
    except (Fault, UnicodeEncodeError):
        raise Fault("WB_E_CARRIER") from None
    check(set(carrier) == {"v", "chain", "salt"}, "WB_E_CARRIER")
    version, chain, salt = carrier["v"], carrier["chain"], carrier["salt"]
    is_number = isinstance(version, (int, float)) and not isinstance(version, bool)
    check(version == "1" or (is_number and version == 1), "WB_E_CARRIER")
    check(isinstance(chain, list) and all(isinstance(x, str) for x in chain), "WB_E_CARRIER")
    check(isinstance(salt, str) and b64url(salt, 16) is not None, "WB_E_CARRIER")
    check(1 <= len(chain) <= 8, "WB_E_CHAIN_LEN")
    sizes = [len(link.encode()) for link in chain]
    check(max(sizes) <= 4096 and sum(sizes) <= 24576, "WB_E_SIZE")
    return chain


# ---- steps 3 to 6: one link (sections 3 to 5) ----------------------------------------------------


def read_link(link: str) -> Token:
    parts = link.split(".")
    check(len(parts) == 3 and all(parts), "WB_E_SYNTAX")
    check(len(parts[0].encode()) <= 342 and len(parts[1].encode()) <= 3414, "WB_E_SIZE")
    header, payload, signature = (b64url(part) for part in parts)
    if header is None or payload is None or signature is None or len(signature) != 64:
        raise Fault("WB_E_B64")
    header_members, claims = read_object(header, TOKEN), read_object(payload, TOKEN)
    kid = check_header(header_members)
    check_claims(claims)
    return Token(link.rpartition(".")[0].encode(), signature, sha256_b64(link.encode()), kid, claims)


def check_header(header: dict[str, Any]) -> str:
    check("crit" not in header, "WB_E_CRIT")
    check(set(header) <= {"alg", "typ", "kid"}, "WB_E_HDR")
    check(header.get("alg") in ("Ed25519", "EdDSA"), "WB_E_ALG")
    check(header.get("typ") == "waybill-trace+jwt", "WB_E_TYP")
    kid = header.get("kid")
    check(is_hash(kid), "WB_E_KID")
    return str(kid)


def is_int(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def is_hash(value: Any) -> bool:
    return isinstance(value, str) and b64url(value, 32) is not None


def is_id(value: str) -> bool:
    return len(value) <= 255 and bool(re.fullmatch(
        r"(?:https|spiffe)://[!$-.0-;=?@\[\]-~](?:[!$-;=?@\[\]-~])*", value)) and not re.search(
        "[A-Z]", value)


def is_text(value: str, most: int) -> bool:
    controls = any(ord(c) < 0x20 or 0x7F <= ord(c) <= 0x9F for c in value)
    return 1 <= len(value.encode()) <= most and not controls


def is_hex(value: str, digits: int) -> bool:
    return bool(re.fullmatch(f"[0-9a-f]{{{digits}}}", value)) and value != "0" * digits


class Claims:
    """Takes the members of one object in the order of section 5, each through all its checks."""

    def __init__(self, members: dict[str, Any]) -> None:
        self.members = members

    def take(self, name: str, kind: type, good: Any, required: bool = True) -> None:
        if name not in self.members:
            check(not required, "WB_E_CLAIM_MISSING")
            return
        value = self.members[name]
        right = is_int(value) if kind is int else isinstance(value, kind)
        check(right, "WB_E_CLAIM_TYPE")
        result = good(value)
        check(result is not False, "WB_E_CLAIM_RANGE")

    def closed(self, names: str, code: str) -> None:
        check(set(self.members) <= set(names.split()), code)


def check_claims(claims: dict[str, Any]) -> None:
    check(is_int(claims.get("ver")) and claims["ver"] == 1, "WB_E_VER")
    c = Claims(claims)
    for name in ("iss", "sub", "aud"):
        c.take(name, str, is_id)
    c.take("jti", str, lambda v: b64url(v, 16) is not None)
    for name in ("iat", "exp", "dln"):
        c.take(name, int, lambda v: True)
    c.take("tid", str, lambda v: is_hex(v, 32))
    c.take("psid", str, lambda v: is_hex(v, 16))
    c.take("tfl", int, lambda v: v <= 255)
    c.take("dep", int, lambda v: v <= 7)
    c.take("mxd", int, lambda v: claims["dep"] <= v <= 7)
    c.take("pth", str, is_hash, required=claims["dep"] > 0)
    check(claims["dep"] > 0 or "pth" not in claims, "WB_E_CLAIM_RANGE")
    c.take("lnk", dict, check_lnk, required=False)
    c.take("cnf", dict, check_cnf, required=False)
    c.take("scp", list, check_scp, required=False)
    c.take("lim", dict, check_lim)
    c.take("bnd", dict, check_bnd)


def check_lnk(members: dict[str, Any]) -> None:
    c = Claims(members)
    c.closed("tth hop", "WB_E_CLAIM_RANGE")
    c.take("tth", str, is_hash)
    c.take("hop", int, lambda v: v >= 1)


def check_cnf(members: dict[str, Any]) -> None:
    c = Claims(members)
    c.closed("jkt", "WB_E_CLAIM_RANGE")
    c.take("jkt", str, is_hash)


def check_scp(skills: list[Any]) -> bool:
    check(all(isinstance(skill, str) for skill in skills), "WB_E_CLAIM_TYPE")
    return len(skills) <= 16 and all(is_text(s, 64) for s in skills) and (
        len(set(skills)) == len(skills))


def check_lim(members: dict[str, Any]) -> None:
    c = Claims(members)
    c.closed("cur cost tok ms", "WB_E_LIM_UNKNOWN")
    c.take("cur", str, lambda v: bool(re.fullmatch("[A-Z]{3}", v)))
    for name in ("cost", "tok", "ms"):
        c.take(name, int, lambda v: v <= NOLIM)


def check_bnd(members: dict[str, Any]) -> None:
    c = Claims(members)
    c.closed("mth mid ctx tsk bdg", "WB_E_CLAIM_RANGE")
    c.take("mth", str, lambda v: v in METHODS)
    c.take("mid", str, lambda v: is_text(v, 128))
    c.take("ctx", str, lambda v: is_text(v, 128), required=False)
    c.take("tsk", str, lambda v: is_text(v, 128), required=False)
    c.take("bdg", str, is_hash)


# ---- trust (section 13) --------------------------------------------------------------------------


@dataclasses.dataclass
class Key:
    x: bytes
    nbf: int = 0
    exp: int = 1 << 64


def thumbprint(x: bytes) -> str:
    return sha256_b64(f'{{"crv":"Ed25519","kty":"OKP","x":"{_b64(x)}"}}'.encode())


def read_bundle(bundle: dict[str, Any]) -> dict[str, Key]:
    """The key set by kid. ValueError: the file is refused."""
    keys: dict[str, Key] = {}
    if not is_id(bundle["wb_iss"]) or len(bundle["keys"]) > 64:
        raise ValueError
    for jwk in bundle["keys"]:
        if "d" in jwk:
            raise ValueError
        if (jwk.get("kty"), jwk.get("crv"), jwk.get("use")) != ("OKP", "Ed25519", "waybill"):
            continue
        x = b64url(jwk["x"], 32)
        if x is None or not curve.point_counts(x):
            raise ValueError
        if jwk["kid"] != thumbprint(x) or jwk["kid"] in keys:
            raise ValueError
        keys[jwk["kid"]] = Key(x, jwk.get("wb_nbf", 0), jwk.get("wb_exp", 1 << 64))
    return keys


def load_trust(bundles: list[dict[str, Any]]) -> dict[str, dict[str, Key]]:
    trust: dict[str, dict[str, Key]] = {}
    issuers = [bundle["wb_iss"] for bundle in bundles]
    for bundle in bundles:
        if issuers.count(bundle["wb_iss"]) > 1:
            continue
        try:
            trust[bundle["wb_iss"]] = read_bundle(bundle)
        except ValueError:
            continue  # refused; at a start the issuer is unknown
    return trust


# ---- policies (section 10) -----------------------------------------------------------------------


@dataclasses.dataclass
class Policy:
    verdict: str
    chain: str
    require: bool
    carry: bool
    mode: str


def trust_domain(agent_id: str) -> str | None:
    found = re.match("spiffe://([^/]*)", agent_id)
    return found.group(1) if found else None


def policy_of(config: dict[str, Any], agent_id: str) -> Policy:
    own = trust_domain(config["self_ids"][0])
    near = own is not None and trust_domain(agent_id) == own
    policy = Policy("continue" if near else "link", "full" if near else "leaf", False, False,
                    config["mode"])
    for name, value in config["policies"].get(agent_id, {}).items():
        setattr(policy, name, value)
    policy.require = policy.require or policy.mode == "enforce"
    return policy


# ---- steps 7 to 17 -------------------------------------------------------------------------------


class Verifier:
    def __init__(self, case: dict[str, Any], vectors: dict[str, Any]) -> None:
        self.now, self.config, self.state = case["now"], case["config"], case["state"]
        self.message = case["message"]
        self.trust = load_trust([vectors["bundles"][name] for name in self.config["bundles"]])
        self.ring: dict[str, Key] = {}
        for name in self.config["own_keys"]:
            x = bytes(SigningKey(bytes.fromhex(vectors["keys"][name]["seed"])).verify_key)
            self.ring[thumbprint(x)] = Key(x)
        text = case["carrier_text"] if "carrier_text" in case else json.dumps(case["carrier"])
        self.text: str = text
        self.links: list[Token] = []
        self.warnings: set[str] = set()
        self.duplicate_of: str | None = None
        self.unproven = False

    @property
    def leaf(self) -> Token:
        return self.links[-1]

    def steps(self) -> None:
        """Raises Fault at the first check that fails."""
        chain = read_carrier(self.text)
        parsed = [read_link(link) for link in reversed(chain)]
        self.links = parsed[::-1]
        self.step_7_and_8()
        self.step_9()
        key = self.key_of(self.leaf)
        check(not self.state["rate_empty"], "WB_E_RATE")
        check_signature(self.leaf, key)
        self.step_13()
        self.step_14()
        self.step_15()
        if self.duplicate_of is not None:
            return
        self.step_16()
        check(policy_of(self.config, self.leaf.claims["iss"]).verdict != "reject", "WB_E_POLICY")

    def step_7_and_8(self) -> None:
        claims, skew = self.leaf.claims, self.config["skew"]
        check(claims["aud"] in self.config["self_ids"], "WB_E_AUD")
        check(claims["iat"] <= self.now + skew, "WB_E_IAT_FUTURE")
        check(self.now < claims["exp"] + skew, "WB_E_EXPIRED")
        check(claims["exp"] > self.state["purged"], "WB_E_EXPIRED")
        recovered = self.state["recovered"]
        check(not recovered or claims["iat"] >= recovered + skew, "WB_E_EXPIRED")
        for token in reversed(self.links):
            c = token.claims
            check(c["iat"] < c["exp"] <= c["iat"] + 600, "WB_E_TTL")
            check(c["exp"] <= c["dln"] <= c["iat"] + 86400, "WB_E_TTL")

    def step_9(self) -> None:
        bnd, message = self.leaf.claims["bnd"], self.message
        check(bnd["mth"] == message["method"], "WB_E_BIND_METHOD")
        check(bnd["mid"] == message["messageId"], "WB_E_BIND_MSG")
        check(bnd.get("tsk", "") == message.get("taskId", ""), "WB_E_BIND_TASK")
        owner = self.state["tasks"].get(message.get("taskId", ""))
        speaks = {"sub": self.leaf.claims["sub"], "iss": self.leaf.claims["iss"]}
        check(owner is None or owner == speaks, "WB_E_BIND_TASK")
        check(bnd.get("ctx", "") == message.get("contextId", ""), "WB_E_BIND_CTX")
        check(bnd["bdg"] == message["bdg"], "WB_E_BIND_BODY")

    def key_of(self, token: Token) -> Key:
        """Step 10."""
        iss = token.claims["iss"]
        own = iss in self.config["self_ids"]
        keys = self.ring if own else self.trust.get(iss)
        check(not self.is_revoked(token) and keys != {}, "WB_E_KEY_REVOKED")
        if keys is None:
            raise Fault("WB_E_ISS_UNKNOWN")
        check(token.kid in keys, "WB_E_KEY_UNKNOWN")
        key = keys[token.kid]
        check(key.nbf <= token.claims["iat"] < key.exp, "WB_E_KEY_TIME")
        return key

    def is_revoked(self, token: Token) -> bool:
        named = {"iss": token.claims["iss"], "kid": token.kid, "tth": token.hash}
        for line in self.config["revoked"]:
            kind, value, time = line.split()
            if named[kind] == value and self.now >= int(time):
                return True
        return False

    def step_13(self) -> None:
        """Section 9."""
        root = self.links[0].claims
        if len(self.links) == 1 and root["dep"] > 0:
            check(policy_of(self.config, root["iss"]).chain == "leaf", "WB_E_CHAIN_LEN")
        if len(self.links) > 1:
            check(root["dep"] == 0, "WB_E_CHAIN_ROOT")
        if root["dep"] == 0:
            check(root["sub"] == root["iss"], "WB_E_CHAIN_SUB")
        for parent, child in zip(self.links, self.links[1:]):
            self.check_pair(parent, child)
        issuers = set()
        for token in self.links:
            issuers.add(token.claims["iss"])
            check(self.config["callbacks"] or token.claims["aud"] not in issuers, "WB_E_LOOP")
        check(self.leaf.claims.get("lnk", {"hop": 0})["hop"] <= 16, "WB_E_HOP")

    def check_pair(self, parent: Token, child: Token) -> None:
        p, c = parent.claims, child.claims
        check(c.get("pth") == parent.hash, "WB_E_CHAIN_HASH")
        check(c["iss"] == p["aud"], "WB_E_CHAIN_ALIGN")
        check("cnf" not in p or child.kid == p["cnf"]["jkt"], "WB_E_CHAIN_CNF")
        check(c["dep"] == p["dep"] + 1, "WB_E_CHAIN_DEPTH")
        check(c["tid"] == p["tid"], "WB_E_CHAIN_TRACE")
        check(c["sub"] == p["sub"], "WB_E_CHAIN_SUB")
        check(c.get("lnk") == p.get("lnk"), "WB_E_CHAIN_ROOT")
        check(c["mxd"] <= p["mxd"], "WB_E_ATT_MXD")
        check(p["iat"] - self.config["skew"] <= c["iat"] <= p["dln"], "WB_E_ATT_TIME")
        check(c["dln"] <= p["dln"], "WB_E_ATT_DLN")
        check(c["lim"]["cur"] == p["lim"]["cur"], "WB_E_ATT_CUR")
        check(all(c["lim"][n] <= p["lim"][n] for n in ("cost", "tok", "ms")), "WB_E_ATT_LIM")
        if "scp" in p:
            check("scp" in c and set(c["scp"]) <= set(p["scp"]), "WB_E_ATT_SCP")

    def step_14(self) -> None:
        self.unproven = len(self.links) == 1 and self.leaf.claims["dep"] > 0
        for token in self.links[:-1]:
            try:
                check_signature(token, self.key_of(token))
            except Fault as fault:
                check(fault.code in ("WB_E_ISS_UNKNOWN", "WB_E_KEY_UNKNOWN"), "WB_E_CHAIN_SIG")
                self.unproven = True
        if self.unproven:
            self.warnings.add("WB_W_CHAIN_UNVERIFIED")

    def step_15(self) -> None:
        names = (self.leaf.claims["iss"], self.leaf.claims["jti"])
        for row in self.state["replay"]:
            if (row["iss"], row["jti"]) == names:
                check(row["hash"] == self.leaf.hash, "WB_E_REPLAY")
                self.duplicate_of = row["acceptance"]
                return
        check(not self.state["replay_full"], "WB_E_REPLAY_FULL")

    def step_16(self) -> None:
        claims = self.leaf.claims
        owner = self.state["owners"].get(claims["tid"])
        if owner not in (None, claims["iss"] if self.unproven else claims["sub"]):
            self.warnings.add("WB_W_TRACE_CONFLICT")
        theirs = traceparent_trace(self.message.get("traceparent", ""))
        if theirs not in (None, claims["tid"]):
            self.warnings.add("WB_W_TRACEPARENT")

    # ---- section 10 --------------------------------------------------------------------------

    def run(self) -> dict[str, Any]:
        code = None
        try:
            self.steps()
        except Fault as fault:
            code = fault.code
        if code is None and self.duplicate_of is not None:
            return self.answer("DUPLICATE", True, None, REPLAYED)
        peer = self.leaf.claims["iss"] if self.links else self.message["peer"]
        policy = policy_of(self.config, peer)
        if code in SOFT and not policy.require:
            return self.answer("LINK", False, code, None)
        if code is not None:
            return self.answer("REJECT", False, code, CLASS_OF[code])
        joins = policy.verdict == "continue" and (policy.carry or not self.unproven)
        joins = joins and "WB_W_TRACE_CONFLICT" not in self.warnings
        return self.answer("CONTINUE" if joins else "LINK", True, None, None)

    def answer(self, verdict: str, verified: bool, code: str | None, wire: str | None) -> Any:
        said = {"verdict": verdict, "verified": verified, "code": code, "class": wire,
                "warnings": [name for name in WARNINGS if name in self.warnings]}
        if self.duplicate_of is not None and verdict == "DUPLICATE":
            said["acceptance"] = self.duplicate_of
        return said


def check_signature(token: Token, key: Key) -> None:
    """Steps 12: section 14."""
    check(curve.point_counts(token.signature[:32]), "WB_E_SIG_POINT")
    check(curve.verify(token.signature, token.signed, key.x), "WB_E_SIG")


def traceparent_trace(header: str) -> str | None:
    """W3C Trace Context level 2, section 3.2: the trace id, or None if the header counts for nothing."""
    found = re.fullmatch("([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-[0-9a-f]{2}(-.*)?", header)
    if not found or found[1] == "ff" or (found[1] == "00" and found[4]):
        return None
    return None if found[2] == "0" * 32 or found[3] == "0" * 16 else found[2]


def signed_links(case: dict[str, Any], vectors: dict[str, Any]) -> Iterator[tuple[str, Token, Key]]:
    """For another library's opinion: each readable link whose key is believed."""
    verifier = Verifier(case, vectors)
    try:
        chain = read_carrier(verifier.text)
    except Fault:
        return
    for link in chain:
        try:
            token = read_link(link)
            yield link, token, verifier.key_of(token)
        except Fault:
            continue


def run(case: dict[str, Any], vectors: dict[str, Any]) -> dict[str, Any]:
    return Verifier(case, vectors).run()
