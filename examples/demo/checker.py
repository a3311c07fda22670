# SPDX-License-Identifier: Apache-2.0
"""The demo's independent judge. It imports nothing of Waybill and has its own Ed25519 (cryptography);
it reads the store with sqlite3 or psycopg, Jaeger by its API, the agents' public keys, the trust directories, the refusals from the
victim's log, and checks what docs/design/token.md promises:

    tokens       header, claims, signature by the issuer's key, chain: every one stored
    rows         say what their token says; a delegation and its acceptance are the same token
    trees        each trace is one tree: one root, every parent there, no cycle; work carries the id
                 of its acceptance
    verdicts     who was believed, who was linked, who was refused, with which code
    jaeger       holds the same spans, each once, and showed a delegation while it was in flight
    counts       no trace, token or acceptance that the acts do not explain

Usage: checker.py REPORT.json      exit code 0: all holds; else every finding, one a line
"""

from __future__ import annotations

import base64
import hashlib
import json
import pathlib
import re
import sqlite3
import sys
import urllib.error
import urllib.request
from typing import Any

import psycopg
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

D = "spiffe://demo.example/"
OUTSIDER = "spiffe://elsewhere.example/outsider"
NOLIM = 2**53 - 1

# caller -> callee: method, depth, verdict at the callee, its code, end of the delegation
HOPS = {
    (D + "planner", D + "researcher"): ("SendStreamingMessage", 0, "continue", None, "completed"),
    (D + "planner", D + "proofreader"): ("SendMessage", 0, "continue", None, "answered"),
    (D + "proofreader", D + "researcher"): ("SendMessage", 1, "continue", None, "completed"),
    (D + "planner", D + "writer"): ("SendMessage", 0, "continue", None, "completed"),
    (D + "writer", D + "researcher"): ("SendStreamingMessage", 1, "continue", None, "completed"),
    (OUTSIDER, D + "researcher"): ("SendStreamingMessage", 0, "link", "WB_E_ISS_UNKNOWN", "completed"),
    (D + "planner", D + "attacker"): ("SendMessage", 0, None, None, "answered"),
}
ATTACKS = {  # trick: code in the victim's log, class on the wire
    "forge": ("WB_E_SIG", "WAYBILL_UNAUTHENTICATED"),
    "replay": ("WB_E_BIND_BODY", "WAYBILL_UNAUTHENTICATED"),
    "reaim": ("WB_E_AUD", "WAYBILL_UNAUTHENTICATED"),
    "widen": ("WB_E_ATT_LIM", "WAYBILL_UNAUTHENTICATED"),
}
REQUIRED = {"ver", "iss", "sub", "aud", "jti", "iat", "exp", "dln", "tid", "psid", "tfl", "dep", "mxd",
            "lim", "bnd"}


class Findings:
    def __init__(self) -> None:
        self.checks = 0
        self.found: list[str] = []

    def check(self, holds: Any, what: str) -> bool:
        self.checks += 1
        if not holds:
            self.found.append(what)
        return bool(holds)


# ---- tokens --------------------------------------------------------------------------------------


def unb64(text: str) -> bytes:
    if not re.fullmatch(r"[A-Za-z0-9_-]*", text):
        raise ValueError("not base64url")
    raw = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
    if base64.urlsafe_b64encode(raw).rstrip(b"=").decode() != text:
        raise ValueError("not canonical base64url")
    return raw


def b64(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def no_twins(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a name twice")
    return found


class Token:
    def __init__(self, text: str) -> None:
        self.text = text
        self.head, self.body, self.tail = text.split(".")
        self.header = json.loads(unb64(self.head), object_pairs_hook=no_twins)
        self.claims = json.loads(unb64(self.body), object_pairs_hook=no_twins)
        self.hash = hashlib.sha256(text.encode()).digest()

    def __getattr__(self, name: str) -> Any:
        return self.claims[name]

    def signed_by(self, x: bytes) -> bool:
        try:
            Ed25519PublicKey.from_public_bytes(x).verify(unb64(self.tail),
                                                         f"{self.head}.{self.body}".encode())
        except InvalidSignature:
            return False
        return True


def read_keys(folder: str) -> dict[str, dict[str, bytes]]:
    """issuer -> kid -> public key; the kid is made here, not believed."""
    keys: dict[str, dict[str, bytes]] = {}
    for file in pathlib.Path(folder).glob("*.json"):
        trusted = json.loads(file.read_text("utf-8"))
        name = b64(hashlib.sha256(trusted["wb_iss"].encode()).digest()) + ".json"
        if name != file.name:
            continue
        for key in trusted["keys"]:
            keys.setdefault(trusted["wb_iss"], {})[kid_of(key["x"])] = unb64(key["x"])
    return keys


def kid_of(x: str) -> str:
    """RFC 7638."""
    text = f'{{"crv":"Ed25519","kty":"OKP","x":"{x}"}}'
    return b64(hashlib.sha256(text.encode()).digest())


def check_token(f: Findings, token: Token, keys: dict[str, str], name: str) -> None:
    c = token.claims
    f.check(set(token.header) == {"alg", "typ", "kid"} and token.header["alg"] == "Ed25519"
            and token.header["typ"] == "waybill-trace+jwt", f"{name}: header {token.header}")
    if not f.check(REQUIRED <= set(c), f"{name}: claims missing: {REQUIRED - set(c)}"):
        return
    x = keys.get(c["iss"], "")
    f.check(x and token.header["kid"] == kid_of(x), f"{name}: not the key of {c['iss']}")
    f.check(x and token.signed_by(unb64(x)), f"{name}: a signature is bad")
    f.check(c["ver"] == 1 and len(unb64(c["jti"])) == 16, f"{name}: ver or jti")
    f.check(c["iat"] < c["exp"] <= c["iat"] + 600, f"{name}: iat, exp")
    f.check(c["exp"] <= c["dln"] <= c["iat"] + 86400, f"{name}: dln")
    f.check(re.fullmatch("[0-9a-f]{32}", c["tid"]) and re.fullmatch("[0-9a-f]{16}", c["psid"]),
            f"{name}: tid, psid")
    f.check(0 <= c["dep"] <= c["mxd"] <= 7, f"{name}: dep, mxd")
    f.check(set(c["lim"]) == {"cur", "cost", "tok", "ms"}
            and all(0 <= c["lim"][k] <= NOLIM for k in ("cost", "tok", "ms")), f"{name}: lim")
    f.check(len(unb64(c["bnd"]["bdg"])) == 32 and c["bnd"]["mid"], f"{name}: bnd")


def check_chain(f: Findings, chain: list[Token], name: str) -> None:
    """The rules between neighbours, from the root down."""
    root = chain[0].claims
    f.check(root["dep"] == 0 and root["sub"] == root["iss"] and "pth" not in root, f"{name}: root")
    for parent, child in zip(chain, chain[1:]):
        p, c = parent.claims, child.claims
        f.check(c["pth"] == b64(parent.hash), f"{name}: pth is not the parent's hash")
        f.check(c["iss"] == p["aud"], f"{name}: the child's iss is not the parent's aud")
        f.check(c["dep"] == p["dep"] + 1 and c["mxd"] <= p["mxd"], f"{name}: dep, mxd of the child")
        f.check(c["tid"] == p["tid"] and c["sub"] == p["sub"], f"{name}: tid, sub of the child")
        f.check(p["iat"] - 60 <= c["iat"] <= p["dln"] and c["dln"] <= p["dln"], f"{name}: iat, dln")
        f.check(c["lim"]["cur"] == p["lim"]["cur"]
                and all(c["lim"][k] <= p["lim"][k] for k in ("cost", "tok", "ms")), f"{name}: lim grew")
    parties = [token.iss for token in chain] + [chain[-1].aud]
    f.check(len(set(parties)) == len(parties), f"{name}: an agent meets itself")


# ---- the store -----------------------------------------------------------------------------------


def rows_of(db: Any, query: str) -> list[dict[str, Any]]:
    cursor = db.execute(query)
    names = [column[0] for column in cursor.description]
    return [dict(zip(names, row)) for row in cursor]


class Store:
    """`where`: an SQLite file, or a Postgres URL."""

    def __init__(self, where: str) -> None:
        if where.startswith(("postgres://", "postgresql://")):
            db: Any = psycopg.connect(where, options="-c search_path=waybill -c default_transaction_read_only=on")
        else:
            db = sqlite3.connect(f"file:{where}?mode=ro", uri=True)
        self.delegations = rows_of(db, "SELECT * FROM delegations")
        self.acceptances = rows_of(db, "SELECT * FROM acceptances")
        self.spans = rows_of(db, "SELECT * FROM spans")
        self.traces = rows_of(db, "SELECT * FROM traces")
        db.close()


def hop_of(row: dict[str, Any]) -> tuple[str, str]:
    return row["issuer"], row["target_agent_id"]


def check_row(f: Findings, row: dict[str, Any], token: Token, name: str) -> None:
    """Does a row say what its token says?"""
    c = token.claims
    f.check(row["token_hash"] == token.hash, f"{name}: token_hash")
    f.check(row["issuer"] == c["iss"] and row["depth"] == c["dep"], f"{name}: issuer, depth")
    f.check(row["token_exp_s"] == c["exp"], f"{name}: token_exp_s")
    f.check(row["method"] == c["bnd"]["mth"] and row["message_id"] == c["bnd"]["mid"], f"{name}: bnd")
    f.check(row["body_digest"] == unb64(c["bnd"]["bdg"]), f"{name}: body_digest")


def check_delegation(f: Findings, row: dict[str, Any], keys: dict[str, str]) -> list[Token]:
    name = f"delegation {row['issuer']} -> {row['target_agent_id']}"
    chain = [Token(text) for text in json.loads(row["chain"])]
    if not f.check(chain, f"{name}: unsigned, {row['unsigned_reason']}"):
        return []
    for token in chain:
        check_token(f, token, keys, name)
    check_chain(f, chain, name)
    leaf = chain[-1]
    check_row(f, row, leaf, name)
    f.check(row["delegation_id"] == unb64(leaf.jti), f"{name}: jti is not the delegation's id")
    f.check(row["trace_id"].hex() == leaf.tid and row["span_id"].hex() == leaf.psid, f"{name}: tid, psid")
    f.check(row["target_agent_id"] == leaf.aud, f"{name}: aud")
    f.check(row["closed_ns"] and row["closed_ns"] >= row["opened_ns"], f"{name}: not closed")
    return chain


def check_acceptance(f: Findings, row: dict[str, Any], keys: dict[str, str],
                     trusted: dict[str, dict[str, bytes]]) -> list[Token]:
    """`trusted` is what the accepting agent believes."""
    name = f"acceptance of {row['issuer']} at {row['agent_id']}"
    chain = [Token(text) for text in json.loads(row["chain"])]
    f.check(row["finished_ns"] and row["outcome"] == "ok", f"{name}: not finished with ok")
    if not row["verified"]:
        f.check(not chain and not row["issuer"] and not row["jti"], f"{name}: keeps what it did not verify")
        return []
    if not f.check(chain, f"{name}: no token"):
        return []
    for token in chain:
        check_token(f, token, keys, name)
        f.check(token.header["kid"] in trusted.get(token.iss, {}), f"{name}: {token.iss} is not trusted")
    check_chain(f, chain, name)
    leaf = chain[-1]
    check_row(f, row, leaf, name)
    f.check(leaf.aud == row["agent_id"], f"{name}: aud is not the acceptor")
    f.check(row["jti"] == unb64(leaf.jti).hex(), f"{name}: jti")
    return chain


# ---- what the acts must have left ----------------------------------------------------------------


def check_hops(f: Findings, store: Store, report: dict[str, Any]) -> None:
    found = sorted(hop_of(row) for row in store.delegations)
    f.check(found == sorted(HOPS), f"delegations are {found}")
    by_message = {row["message_id"]: row for row in store.acceptances}
    f.check(len(by_message) == len(store.acceptances), "a message was accepted twice")
    for row in store.delegations:
        if hop_of(row) in HOPS:
            check_hop(f, row, by_message.pop(row["message_id"], None))
    f.check(not by_message, f"{len(by_message)} acceptances of messages that nobody delegated")
    open_seen = [seen for seen in report["open_seen"] if seen]
    f.check(len(open_seen) == 1, f"the open delegation was seen {len(open_seen)} times")


def check_hop(f: Findings, row: dict[str, Any], accepted: dict[str, Any] | None) -> None:
    method, depth, verdict, code, state = HOPS[hop_of(row)]
    name = " -> ".join(hop_of(row))
    f.check(row["method"] == method and row["depth"] == depth, f"{name}: {row['method']}, {row['depth']}")
    f.check(row["state"] == state, f"{name}: ended {row['state']}, not {state}")
    if verdict is None:
        f.check(accepted is None, f"{name}: accepted by somebody")
        return
    if not f.check(accepted and accepted["agent_id"] == row["target_agent_id"], f"{name}: not accepted"):
        return
    assert accepted is not None
    joins = verdict == "continue"
    f.check(not joins or accepted["token_hash"] == row["token_hash"], f"{name}: another token")
    f.check(accepted["verdict"] == verdict and accepted["code"] == code,
            f"{name}: {accepted['verdict']} {accepted['code']}, not {verdict} {code}")
    f.check(bool(accepted["verified"]) == joins, f"{name}: verified {accepted['verified']}")
    f.check((accepted["trace_id"] == row["trace_id"]) == joins, f"{name}: the wrong trace")
    f.check((accepted["parent_span_id"] == row["span_id"]) == joins, f"{name}: the wrong parent")
    if not joins:
        f.check(accepted["link_trace_id"] == row["trace_id"], f"{name}: not linked to the caller's trace")


def check_crash(f: Findings, store: Store, report: dict[str, Any]) -> None:
    """writer's acceptance was open when its sidecar was killed, and was finished after the restart."""
    rows = [row for row in store.acceptances if row["agent_id"] == D + "writer"]
    if f.check(len(rows) == 1, f"writer accepted {len(rows)} times"):
        opened, finished = rows[0]["opened_ns"], rows[0]["finished_ns"] or 0
        f.check(opened < report["killed_ns"] < finished, "writer's acceptance did not live over the kill")


def check_trees(f: Findings, store: Store, report: dict[str, Any]) -> None:
    by_trace: dict[bytes, list[dict[str, Any]]] = {}
    for span in store.spans:
        by_trace.setdefault(span["trace_id"], []).append(span)
    for trace_id, spans in by_trace.items():
        check_tree(f, trace_id.hex()[:8], spans)
    known = {report["trace_id"], report["outsider_trace_id"], report["errand_trace_id"]}
    linked = {row["trace_id"].hex() for row in store.acceptances if row["verdict"] == "link"}
    f.check({trace_id.hex() for trace_id in by_trace} == known | linked and len(known | linked) == 4,
            f"traces are {[trace_id.hex() for trace_id in by_trace]}")
    f.check({row["trace_id"] for row in store.traces} == set(by_trace), "the view has other traces")
    f.check(all(row["status"] == "success" for row in store.traces),
            f"traces ended {[row['status'] for row in store.traces]}")
    check_hop_spans(f, store)
    main = by_trace.get(bytes.fromhex(report["trace_id"]), [])
    agents = {span["sidecar_id"] for span in main}
    f.check(len(agents) == 4, f"the main trace has spans of {len(agents)} sidecars")
    names = {span["name"] for span in main}
    f.check({"make a report", "search", "read file", "outline", "write", "proofread", "count words"} <= names,
            f"spans are {names}")


def check_tree(f: Findings, name: str, spans: list[dict[str, Any]]) -> None:
    parents = {span["span_id"]: span["parent_span_id"] for span in spans}
    f.check(len(parents) == len(spans), f"trace {name}: a span twice")
    roots = [span for span in spans if span["parent_span_id"] is None]
    f.check(len(roots) == 1, f"trace {name}: {len(roots)} roots")
    orphans = [span["name"] for span in spans
               if span["parent_span_id"] is not None and span["parent_span_id"] not in parents]
    f.check(not orphans, f"trace {name}: without their parent: {orphans}")
    for span in spans:
        steps, at = 0, span["span_id"]
        while at is not None and at in parents and steps <= len(spans):
            steps, at = steps + 1, parents[at]
        f.check(steps <= len(spans), f"trace {name}: a cycle")


def check_hop_spans(f: Findings, store: Store) -> None:
    """Each delegation is one CLIENT span, each acceptance one SERVER span, in their traces."""
    kinds = {(span["trace_id"], span["span_id"]): span["kind"] for span in store.spans}
    for row in store.delegations:
        f.check(kinds.get((row["trace_id"], row["span_id"])) == "client",
                f"no CLIENT span of {' -> '.join(hop_of(row))}")
    for row in store.acceptances:
        f.check(kinds.get((row["trace_id"], row["span_id"])) == "server",
                f"no SERVER span at {row['agent_id']} for {row['issuer']}")


def check_stamps(f: Findings, store: Store) -> None:
    """Work carries the id of the acceptance whose SERVER span it lies below."""
    parents = {(span["trace_id"], span["span_id"]): span["parent_span_id"] for span in store.spans}
    served = {(row["trace_id"], row["span_id"]): row["acceptance_id"] for row in store.acceptances}
    for span in store.spans:
        at = (span["trace_id"], span["span_id"])
        if span["kind"] != "internal":
            continue
        while at in parents and at not in served:
            at = (at[0], parents[at])
        f.check(span["acceptance_id"] == served.get(at), f"span {span['name']}: another acceptance's")


# ---- Jaeger --------------------------------------------------------------------------------------


def jaeger_spans(url: str, trace_id: str) -> list[dict[str, Any]]:
    try:
        with urllib.request.urlopen(f"{url}/api/traces/{trace_id}", timeout=10) as answer:
            found = json.load(answer)
    except urllib.error.HTTPError as error:
        if error.code == 404:
            return []
        raise
    return [span for trace in found["data"] for span in trace["spans"]]


def is_marker(span: dict[str, Any]) -> bool:
    return any(tag["key"] == "waybill.marker" for tag in span["tags"])


def parent_of(span: dict[str, Any]) -> str | None:
    parents = [ref["spanID"] for ref in span["references"]
               if ref["refType"] == "CHILD_OF" and ref["traceID"] == span["traceID"]]
    return parents[0] if parents else None


def check_jaeger(f: Findings, store: Store, report: dict[str, Any]) -> None:
    for trace_id in sorted({span["trace_id"] for span in store.spans}):
        name = f"Jaeger, trace {trace_id.hex()[:8]}"
        spans = jaeger_spans(report["jaeger"], trace_id.hex())
        real = [span for span in spans if not is_marker(span)]
        theirs = sorted((span["spanID"], parent_of(span), span["operationName"]) for span in real)
        ours = sorted((span["span_id"].hex(), span["parent_span_id"].hex() if span["parent_span_id"] else None,
                       span["name"]) for span in store.spans if span["trace_id"] == trace_id)
        f.check(len({span["spanID"] for span in spans}) == len(spans), f"{name}: a span twice")
        f.check(theirs == ours, f"{name}: has {len(theirs)} spans, the store {len(ours)}, or others")
        marked = {row["span_id"].hex() for row in store.delegations if row["trace_id"] == trace_id}
        f.check({parent_of(span) for span in spans if is_marker(span)} <= marked, f"{name}: stray markers")
    f.check(report["markers_seen"] >= 1, "Jaeger did not show the delegation while it was in flight")


def check_attacks(f: Findings, store: Store, report: dict[str, Any]) -> None:
    log = pathlib.Path(report["logs"]["researcher"]).read_text("utf-8", "replace").splitlines()
    f.check([a["trick"] for a in report["attacks"]] == list(ATTACKS), "the attacks are others")
    genuine = {(row["issuer"], row["message_id"]) for row in store.delegations}
    for attack in report["attacks"]:
        check_attack(f, attack, log)
    accepted = {row["jti"] for row in store.acceptances if row["agent_id"] == D + "researcher"}
    forged = {unb64(a["jti"]).hex() for a in report["attacks"] if a["trick"] != "replay"}
    f.check(not accepted & forged, "an attacker's token was accepted")
    tids = {a["tid"] for a in report["attacks"] if a["trick"] == "forge"}
    f.check(not tids & {span["trace_id"].hex() for span in store.spans}, "a forged trace was joined")
    f.check(len(genuine) == len(store.delegations), "a message was delegated twice")


def check_attack(f: Findings, attack: dict[str, Any], log: list[str]) -> None:
    code, wire = ATTACKS[attack["trick"]]
    refs = re.findall(r'"ref": ?"([0-9a-f]{16})"', attack["body"])
    if not f.check(len(refs) == 1, f"{attack['trick']}: answered {attack['body']}"):
        return
    f.check(wire in attack["body"] and "refused by Waybill" in attack["body"],
            f"{attack['trick']}: the wire says {attack['body']}")
    f.check("WB_E_" not in attack["body"], f"{attack['trick']}: the wire tells the code")
    lines = [line for line in log if refs[0] in line]
    f.check(len(lines) == 1 and f'code="{code}"' in lines[0],
            f"{attack['trick']}: the log says {lines}, not {code}")


def main() -> int:
    report = json.loads(pathlib.Path(sys.argv[1]).read_text("utf-8"))
    store, f = Store(report["store"]), Findings()
    trusted = {name: read_keys(folder) for name, folder in report["trust"].items()}
    keys, tokens = report["keys"], set()
    for row in store.delegations:
        tokens |= {token.text for token in check_delegation(f, row, keys)}
    for row in store.acceptances:
        believed = trusted.get(row["agent_id"].rsplit("/", 1)[-1], {})
        tokens |= {token.text for token in check_acceptance(f, row, keys, believed)}
    check_hops(f, store, report)
    check_crash(f, store, report)
    check_trees(f, store, report)
    check_stamps(f, store)
    check_attacks(f, store, report)
    if report.get("jaeger"):
        check_jaeger(f, store, report)
    for finding in f.found:
        print(f"checker: {finding}")
    print(f"checker: {len(tokens)} tokens, {len(store.delegations)} delegations,"
          f" {len(store.acceptances)} acceptances, {len(store.spans)} spans, {len(store.traces)} traces:"
          f" {f.checks} checks, {len(f.found)} findings")
    return 1 if f.found else 0


if __name__ == "__main__":
    sys.exit(main())
