# SPDX-License-Identifier: Apache-2.0
"""What the cases of make.py are built from: keys, tokens, the two situations, expectations.

A case is written as what differs from a good message. The two situations are those of the worked
example (docs/tokens.md, section 19): `one`, the root A -> B as B gets it, and `two`, root and child
B -> C as C gets them. What is expected stands in each case, by hand: no verifier is asked.
"""

from __future__ import annotations

import base64
import copy
import hashlib
import json
from collections.abc import Iterable
from typing import Any

from nacl.signing import SigningKey
from reference import curve

Json = dict[str, Any]
A, B, C, D, E = (f"spiffe://example.org/{name}" for name in "abcde")
FOREIGN = "spiffe://other.example/f"
WEB = "https://agents.example.net/w"
NOBODY = "spiffe://example.org/nobody"
NOW = 1767225603
IAT = 1767225600
TID = "0af7651916cd43dd8448eb211c80319c"
OTHER_TID = "4bf92f3577b34da6a3ce929d0e0e4736"
NOLIM = 2**53 - 1
GONE: Any = object()  # a member that is not there

SALT_1 = bytes(range(0x00, 0x10))
SALT_2 = bytes(range(0x10, 0x20))
PARTS_1 = [{"text": "Hi"}, {"raw": "AQID", "filename": "a.bin"}, {"data": {"b": 1.0, "a": "é"}}]
PARTS_2 = [{"text": "Find it"}]
BDG_1 = "mPrPf8oygCYGJaUIyY-kDG8m08as9joGxEta4gYTIPM"
BDG_2 = "na3s7IAwkCNg3s-fp0OOAN_8MDpRvdTF9znQwyCKzac"


def b64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def hash_of(jws: str) -> str:
    return b64(hashlib.sha256(jws.encode()).digest())


def compact(value: Any) -> str:
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False)


def thumbprint(x: bytes) -> str:
    jwk = f'{{"crv":"Ed25519","kty":"OKP","x":"{b64(x)}"}}'
    return b64(hashlib.sha256(jwk.encode()).digest())


class Key:
    def __init__(self, first: int) -> None:
        self.seed = bytes((first + i) & 0xFF for i in range(32))
        self.signer = SigningKey(self.seed)
        self.x = bytes(self.signer.verify_key)
        self.kid = thumbprint(self.x)

    def sign(self, message: bytes) -> bytes:
        return bytes(self.signer.sign(message).signature)

    @property
    def scalar(self) -> int:
        """RFC 8032 section 5.1.5: for signatures that no honest signer makes."""
        half = bytearray(hashlib.sha512(self.seed).digest()[:32])
        half[0] &= 248
        half[31] = half[31] & 127 | 64
        return int.from_bytes(half, "little")


KEYS = {name: Key(0x20 * i) for i, name in enumerate("abcdefgh")}
KEY_OF = {A: KEYS["a"], B: KEYS["b"], C: KEYS["c"], D: KEYS["d"], E: KEYS["e"],
          FOREIGN: KEYS["f"], WEB: KEYS["g"], NOBODY: KEYS["h"]}


# ---- bundles -------------------------------------------------------------------------------------

BUNDLES: dict[str, Json] = {}


def jwk(x: bytes, **more: Any) -> Json:
    return {"kty": "OKP", "crv": "Ed25519", "x": b64(x), "kid": thumbprint(x), "use": "waybill",
            **more}


def bundle(name: str, agent_id: str, *keys: Json) -> str:
    BUNDLES[name] = {"wb_iss": agent_id, "spiffe_sequence": 1, "spiffe_refresh_hint": 300,
                     "keys": list(keys)}
    return name


for _name, _id in zip("abcdefg", (A, B, C, D, E, FOREIGN, WEB)):
    bundle(_name, _id, jwk(KEYS[_name].x))


# ---- tokens --------------------------------------------------------------------------------------


def merge(base: Json, changes: Json) -> Json:
    """`base` with members replaced, removed (GONE) or, where both are objects, merged."""
    out = copy.deepcopy(base)
    for name, value in changes.items():
        if value is GONE:
            out.pop(name, None)
        elif isinstance(value, dict) and isinstance(out.get(name), dict):
            out[name] = merge(out[name], value)
        else:
            out[name] = copy.deepcopy(value)
    return out


ORDER = ("ver iss sub aud jti iat exp dln tid psid tfl dep mxd pth lnk cnf scp lim bnd").split()


def in_order(claims: Json) -> Json:
    known = {name: claims[name] for name in ORDER if name in claims}
    return {**known, **claims}


def claims_1(**changes: Any) -> Json:
    """The root of section 19."""
    return in_order(merge({
        "ver": 1, "iss": A, "sub": A, "aud": B, "jti": "oKGio6SlpqeoqaqrrK2urw", "iat": IAT,
        "exp": IAT + 120, "dln": IAT + 3600, "tid": TID, "psid": "b7ad6b7169203331", "tfl": 3,
        "dep": 0, "mxd": 4, "lim": {"cur": "USD", "cost": 500000, "tok": 200000, "ms": 600000},
        "bnd": {"mth": "SendMessage", "mid": "msg-1", "bdg": BDG_1}}, changes))


def claims_2(parent: str | None = None, **changes: Any) -> Json:
    """The child of section 19."""
    return in_order(merge({
        "ver": 1, "iss": B, "sub": A, "aud": C, "jti": "sLGys7S1tre4ubq7vL2-vw", "iat": IAT + 2,
        "exp": IAT + 122, "dln": IAT + 3000, "tid": TID, "psid": "00f067aa0ba902b7", "tfl": 3,
        "dep": 1, "mxd": 4, "pth": hash_of(parent or ROOT),
        "lim": {"cur": "USD", "cost": 120000, "tok": 40000, "ms": 300000},
        "bnd": {"mth": "SendStreamingMessage", "mid": "msg-2", "ctx": "ctx-7", "bdg": BDG_2}},
        changes))


def header_of(key: Key) -> Json:
    return {"alg": "Ed25519", "typ": "waybill-trace+jwt", "kid": key.kid}


def raw(header: str | bytes, payload: str | bytes, key: Key, signature: bytes | None = None) -> str:
    """Sign any bytes."""
    head = header.encode() if isinstance(header, str) else header
    body = payload.encode() if isinstance(payload, str) else payload
    signed = f"{b64(head)}.{b64(body)}"
    return f"{signed}.{b64(signature or key.sign(signed.encode()))}"


def token(claims: Json, key: Key | None = None, header: Json | str | bytes | None = None) -> str:
    signer = key or KEY_OF[claims["iss"]]
    head = header if isinstance(header, (str, bytes)) else compact(header or header_of(signer))
    return raw(head, compact(claims), signer)


ROOT = token(claims_1())
CHILD = token(claims_2())


def replaced(text: str, old: str, new: str) -> str:
    assert text.count(old) == 1, (old, text)
    return text.replace(old, new)


# ---- cases ---------------------------------------------------------------------------------------

CASES: list[Json] = []
CLASSES = {
    "malformed": "CARRIER CHAIN_LEN SIZE SYNTAX B64 UTF8 JSON JSON_DUP NUM DEPTH_JSON CRIT HDR ALG"
    " TYP KID VER CLAIM_MISSING CLAIM_TYPE LIM_UNKNOWN CLAIM_RANGE",
    "unauthenticated": "AUD BIND_METHOD BIND_MSG BIND_TASK BIND_CTX BIND_BODY KEY_REVOKED"
    " ISS_UNKNOWN KEY_UNKNOWN KEY_TIME SIG_POINT SIG CHAIN_ROOT CHAIN_SUB CHAIN_HASH CHAIN_ALIGN"
    " CHAIN_CNF CHAIN_DEPTH CHAIN_TRACE ATT_MXD ATT_CUR ATT_LIM ATT_SCP CHAIN_SIG",
    "stale": "IAT_FUTURE EXPIRED TTL ATT_TIME ATT_DLN",
    "refused": "MISSING RATE LOOP HOP REPLAY_FULL POLICY",
    "replayed": "REPLAY",
}
CLASS_OF = {code: name for name, codes in CLASSES.items() for code in codes.split()}


def _expect(verdict: str, verified: bool, code: str | None, wire: str | None,
            warnings: Iterable[str]) -> Json:
    return {"verdict": verdict, "verified": verified, "code": code and f"WB_E_{code}",
            "class": wire, "warnings": [f"WB_W_{name}" for name in warnings]}


def goes_on(*warnings: str) -> Json:
    return _expect("CONTINUE", True, None, None, warnings)


def link(*warnings: str) -> Json:
    return _expect("LINK", True, None, None, warnings)


def unverified(code: str) -> Json:
    return _expect("LINK", False, code, None, ())


def reject(code: str, *warnings: str) -> Json:
    return _expect("REJECT", False, code, CLASS_OF[code], warnings)


def duplicate(acceptance: str, *warnings: str) -> Json:
    return {**_expect("DUPLICATE", True, None, "replayed", warnings), "acceptance": acceptance}


def _case(name: str, expect: Json, base: Json, changes: Json) -> None:
    assert all(case["name"] != name for case in CASES), name
    made = {"name": name, "row": changes.pop("row", None), "now": changes.pop("now", NOW)}
    if made["row"] is None:
        del made["row"]
    made["config"] = merge({
        "self_ids": base["self_ids"], "skew": 60, "mode": "link", "callbacks": False,
        "policies": {}, "bundles": base["bundles"], "own_keys": base["own_keys"], "revoked": []},
        changes.pop("config", {}))
    made["state"] = merge({
        "replay": [], "owners": {}, "tasks": {}, "purged": 0, "recovered": 0,
        "replay_full": False, "rate_empty": False}, changes.pop("state", {}))
    links, salt = changes.pop("links", base["links"]), base["salt"]
    if "carrier_text" in changes:
        made["carrier_text"] = changes.pop("carrier_text")
    else:
        made["carrier"] = changes.pop("carrier", {"v": "1", "chain": links, "salt": b64(salt)})
    made["message"] = merge(base["message"], changes.pop("message", {}))
    made["expect"] = expect
    assert not changes, changes
    CASES.append(made)


def one(name: str, expect: Json, *links: str, **changes: Any) -> None:
    """B gets the root A -> B; `links`: this chain instead."""
    _case(name, expect, {
        "self_ids": [B], "bundles": ["a"], "own_keys": ["b"], "links": list(links) or [ROOT],
        "salt": SALT_1,
        "message": {"method": "SendMessage", "messageId": "msg-1", "bdg": BDG_1,
                    "peer": "192.0.2.7"}}, changes)


def two(name: str, expect: Json, *links: str, **changes: Any) -> None:
    """C gets root and child; `links`: this chain instead."""
    _case(name, expect, {
        "self_ids": [C], "bundles": ["a", "b"], "own_keys": ["c"],
        "links": list(links) or [ROOT, CHILD], "salt": SALT_2,
        "message": {"method": "SendStreamingMessage", "messageId": "msg-2", "contextId": "ctx-7",
                    "bdg": BDG_2, "peer": "192.0.2.7"}}, changes)


def claims(name: str, expect: Json, row: int | None = None, **changes: Any) -> None:
    """`one` with a root whose claims differ."""
    one(name, expect, token(in_order(claims_1(**changes)), KEYS["a"]), row=row)


def child(name: str, expect: Json, row: int | None = None, **changes: Any) -> None:
    """`two` with a child whose claims differ."""
    two(name, expect, ROOT, token(in_order(claims_2(**changes)), KEYS["b"]), row=row)


def parent(name: str, expect: Json, row: int | None = None, child: Json | None = None,
           key: Key | None = None, **changes: Any) -> None:
    """`two` with a root that differs; the child names it."""
    root = token(in_order(claims_1(**changes)), KEYS["a"])
    two(name, expect, root, token(claims_2(root, **(child or {})), key or KEYS["b"]), row=row)


def payload(name: str, expect: Json, text: str | bytes, row: int | None = None) -> None:
    """`one` with these bytes as the root's payload."""
    one(name, expect, raw(compact(header_of(KEYS["a"])), text, KEYS["a"]), row=row)


def header(name: str, expect: Json, head: Json | str | bytes, row: int | None = None) -> None:
    """`one` with this header."""
    one(name, expect, token(claims_1(), header=head), row=row)


PAYLOAD_1 = compact(claims_1())


def with_member(text: str) -> str:
    """The root's payload with one more member at its end."""
    return PAYLOAD_1[:-1] + "," + text + "}"


# ---- points that no honest key has (section 14) ----------------------------------------------------


def small_order_points() -> list[tuple[str, curve.Point]]:
    """The eight points whose order divides 8: the multiples of one of order 8."""
    y = 0
    while True:
        y += 1
        x = curve.x_of(y, 0)
        if x is None:
            continue
        point = curve.multiply(curve.L, curve.affine(x, y))
        if not curve.equal(curve.multiply(4, point), curve.IDENTITY):
            break
    orders = {0: 1, 4: 2, 2: 4, 6: 4}
    return [(f"order_{orders.get(i, 8)}_{i}", curve.multiply(i, point)) for i in range(8)]


def bad_encodings() -> list[tuple[str, bytes]]:
    """Name and encoding of what is no point here: small order, mixed order, not canonical, no point."""
    small = small_order_points()
    out = [(name, curve.encode(point)) for name, point in small]
    honest = curve.multiply(7, curve.BASE)
    out += [(f"mixed_{name}", curve.encode(curve.add(honest, point))) for name, point in small[1:]]
    out.append(("mixed_95_99", bytes([0x95]) + bytes([0x99]) * 31))
    sign = 1 << 255
    spellings = {"y_p": curve.P, "y_p_sign": curve.P + sign, "y_p_plus_1": curve.P + 1,
                 "y_p_plus_1_sign": curve.P + 1 + sign, "y_1_sign": 1 + sign,
                 "y_minus_1_sign": curve.P - 1 + sign, "y_2_255_minus_1": 2**255 - 1,
                 "all_ff": 2**256 - 1, "y_p_plus_3": curve.P + 3}
    out += [(f"noncanonical_{name}", y.to_bytes(32, "little")) for name, y in spellings.items()]
    y = next(y for y in range(2, 100) if curve.x_of(y, 0) is None)
    out.append(("not_on_curve", y.to_bytes(32, "little")))
    return out
