# SPDX-License-Identifier: Apache-2.0
"""`waybill key rotate|retire` and `trust add|remove|revoke|bundle`: the real program on real files."""

from __future__ import annotations

import json
import os
import pathlib
import stat
import subprocess
import time

import pytest
from test_cli_tokens import A, B, C, CHILD, KEY_A, KEY_B, NOW, ROOT, Cli, Key, b64, verify


@pytest.fixture
def cli(tmp_path):
    return Cli(tmp_path)


@pytest.fixture
def trusting(cli):
    cli("trust", "add", "--id", A, KEY_A.x)
    cli("trust", "add", "--id", B, KEY_B.x)
    return cli


def keys_dir(cli) -> pathlib.Path:
    return pathlib.Path(cli.json("key", "show")["file"]).parent


def roles(cli) -> dict[str, str]:
    return {key["role"]: key["kid"] for key in cli.json("key", "show")["keys"]}


def trust_dir(cli) -> pathlib.Path:
    return pathlib.Path(cli.json("trust", "list")["directory"])


def issuers(cli, *more: str) -> dict[str, set[str]]:
    return {issuer["issuer"]: {key["kid"] for key in issuer["keys"]}
            for issuer in cli.json("trust", "list", *more)["issuers"]}


def trust_file(issuer: str, *keys: Key, sequence: int = 1) -> str:
    return json.dumps({"wb_iss": issuer, "spiffe_sequence": sequence,
                       "keys": [{"kty": "OKP", "crv": "Ed25519", "use": "waybill", "x": key.x,
                                 "kid": key.kid} for key in keys]})


def test_a_rotation_publishes_before_it_signs(cli):
    cli("key", "rotate", code=1)  # there is no key at all
    first = cli.json("key", "new")["keys"][0]["kid"]
    made = cli.json("key", "rotate")
    assert made["step"] == "made_next" and made["current"] == first and made["retired"] is None
    assert roles(cli) == {"current": first, "next": made["next"]}
    early = cli.json("key", "rotate", code=1)
    assert early["step"] == "too_early" and early["next_may_sign"] == made["next_may_sign"]
    assert "--force" in cli.said and roles(cli)["current"] == first
    file = keys_dir(cli) / "next.key"
    assert made["next_may_sign"] == int(file.stat().st_mtime) + 600
    os.utime(file, (time.time() - 601, time.time() - 601))  # published ten minutes ago
    promoted = cli.json("key", "rotate")
    assert promoted["step"] == "promoted" and promoted["next"] is None
    assert promoted["current"] == made["next"] and promoted["retired"] == first
    assert roles(cli) == {"current": made["next"], "retired": first}
    assert not file.exists()
    for path in [keys_dir(cli) / "current.key", keys_dir(cli) / "retired" / f"{first}.pub"]:
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    line = (keys_dir(cli) / "retired" / f"{first}.pub").read_text().strip().split(":")
    assert line[:2] == ["waybill-pk-v1", first] and line[3] == "0"
    assert abs(int(line[4]) - time.time() - 900) < 20


def test_an_emergency_rotation_takes_one_call(cli):
    first = cli.json("key", "new")["keys"][0]["kid"]
    done = cli.json("key", "rotate", "--force")
    assert done["step"] == "promoted" and done["retired"] == first
    cli("key", "retire", done["current"], code=1)  # the one that signs
    assert "waybill key rotate" in cli.said
    assert cli.json("key", "retire", first) == {"kid": first, "was": "retired", "dropped": False}
    retired = [key for key in cli.json("key", "show")["keys"] if key["kid"] == first][0]
    assert retired["wb_exp"] <= time.time()
    cli("key", "retire", first, "--drop")
    cli("key", "retire", first, code=1)
    assert list(roles(cli)) == ["current"]


def test_peers_follow_a_rotation_by_bundles(cli):
    first = cli.json("key", "new", "--id", A)["keys"][0]["kid"]
    cli("trust", "add", "-", "--name", "peer", stdin=cli("trust", "bundle", "--id", A))
    following = cli.json("key", "rotate")["next"]
    added = cli.json("trust", "add", "-", "--name", "peer", stdin=cli("trust", "bundle", "--id", A))
    assert {entry["kid"]: entry["change"] for entry in added} == \
        {first: "known already", following: "added"}
    cli("key", "rotate", "--force")
    added = cli.json("trust", "add", "-", "--name", "peer", stdin=cli("trust", "bundle", "--id", A))
    assert {entry["kid"]: entry["change"] for entry in added} == \
        {first: "changed its window", following: "known already"}
    cli("key", "retire", "--drop", first)
    added = cli.json("trust", "add", "-", "--name", "peer", stdin=cli("trust", "bundle", "--id", A))
    assert {entry["kid"]: entry["change"] for entry in added} == \
        {first: "dropped", following: "known already"}
    assert issuers(cli, "--name", "peer") == {A: {following}}


def test_an_older_file_does_not_bring_back_a_key(cli):
    cli("trust", "add", trust_file(A, KEY_A, KEY_B, sequence=7))
    cli("trust", "add", trust_file(A, KEY_B, sequence=8))
    cli("trust", "add", trust_file(A, KEY_A, KEY_B, sequence=7), code=1)
    assert "spiffe_sequence 7, not 8" in cli.said
    assert issuers(cli) == {A: {KEY_B.kid}}


def test_a_bundle_carries_many(cli):
    bundle = '{"wb_bundles":[' + trust_file(A, KEY_A) + "," + trust_file(B, KEY_B) + "]}"
    assert len(cli.json("trust", "add", bundle)) == 2
    assert issuers(cli) == {A: {KEY_A.kid}, B: {KEY_B.kid}}
    cli("key", "new")
    (cli.folder / "run" / "waybill" / "default").mkdir(parents=True)
    status = {"agent_id": C, "agent_ids": [C, "https://c.example.com"]}
    (cli.folder / "run" / "waybill" / "default" / "status.json").write_text(json.dumps(status))
    own = json.loads(cli("trust", "bundle"))
    assert [one["wb_iss"] for one in own["wb_bundles"]] == [C, "https://c.example.com"]
    everybody = cli("trust", "bundle", "--all")
    assert "\"d\"" not in everybody and "waybill-sk" not in everybody
    cli("trust", "add", "-", "--name", "new", stdin=everybody)
    assert set(issuers(cli, "--name", "new")) == {A, B, C, "https://c.example.com"}
    (trust_dir(cli) / "all.bundle.json").write_text(everybody)  # or laid down as it is: A, B twice
    problems = cli.json("trust", "list", code=1)["problems"]
    for problem in problems:
        assert problem["reason"].startswith("an issuer twice; neither counts: ")
        assert "all.bundle.json" in problem["file"] + problem["reason"]


def test_who_stands_in_two_files_is_neither_added_nor_removed(cli):
    cli("trust", "add", "--id", A, KEY_A.x)
    folder = trust_dir(cli)
    for name in ("a", "b"):
        text = '{"wb_bundles":[' + trust_file(B, KEY_B) + "]}"
        (folder / f"{name}.bundle.json").write_text(text)
    [problem] = cli.json("trust", "list", code=1)["problems"]
    assert problem["file"] == "a.bundle.json"
    assert B in problem["reason"] and "b.bundle.json" in problem["reason"]
    before = sorted(folder.iterdir())
    for args in (["add", "--id", B, KEY_A.x], ["add", trust_file(B, KEY_A)], ["remove", B],
                 ["remove", B, KEY_B.kid]):
        assert cli("trust", *args, code=3) == ""
        assert "stands in a.bundle.json and in b.bundle.json" in cli.said
    assert sorted(folder.iterdir()) == before
    (folder / "a.bundle.json").unlink()
    cli("trust", "remove", B, code=3)
    assert "stands in b.bundle.json: change it there" in cli.said


def test_whoever_is_removed_is_a_stranger_again(trusting):
    assert verify(trusting)["verdict"] == "CONTINUE"
    trusting("trust", "remove", B, KEY_A.kid, code=1)
    trusting("trust", "remove", "planner", code=2)
    assert trusting.json("trust", "remove", B, KEY_B.kid) == {"issuer": B, "kid": KEY_B.kid}
    assert verify(trusting, code=1)["code"] == "WB_E_KEY_REVOKED"  # an issuer without keys
    trusting("trust", "remove", B)
    answer = verify(trusting, code=1)
    assert (answer["verdict"], answer["code"]) == ("LINK", "WB_E_ISS_UNKNOWN")
    trusting("trust", "remove", B, code=1)


@pytest.mark.parametrize("kind, value, code", [
    ("kid", KEY_B.kid, "WB_E_KEY_REVOKED"),
    ("iss", B, "WB_E_KEY_REVOKED"),
    ("tth", None, "WB_E_KEY_REVOKED"),
    ("kid", KEY_A.kid, "WB_E_CHAIN_SIG"),
    ("iss", A, "WB_E_CHAIN_SIG"),
])
def test_what_is_revoked_is_refused_from_then_on(trusting, kind, value, code):
    value = value or trusting.json("token", "inspect", CHILD)["tokens"][0]["hash"]
    said = trusting.json("trust", "revoke", kind, value, "--at", str(NOW + 1))
    assert said == {"kind": kind, "value": value, "from": NOW + 1}
    assert verify(trusting)["verdict"] == "CONTINUE"  # at NOW, a second before
    trusting("trust", "revoke", kind, value, "--at", str(NOW + 1), code=1)  # already
    trusting("trust", "revoke", kind, value, "--at", str(NOW))
    assert verify(trusting, code=1)["code"] == code
    listed = trusting.json("trust", "list")["revoked"]
    assert listed == [{"kind": kind, "value": value, "from": NOW + 1},
                      {"kind": kind, "value": value, "from": NOW}]
    assert value in trusting("trust", "list")


def test_a_key_that_could_never_sign_is_not_believed(cli):
    empty = json.loads(trust_file(A, KEY_A))
    empty["keys"][0].update(wb_nbf=5, wb_exp=4)
    cli("trust", "add", json.dumps(empty), code=1)
    assert f"key {KEY_A.kid} could never sign: it begins at 5 and ends at 4" in cli.said
    empty["keys"][0].update(wb_nbf=0, wb_exp=4)
    cli("trust", "add", "--not-before", "4", json.dumps(empty), code=1)
    assert "could never sign" in cli.said
    assert cli.json("trust", "list")["issuers"] == []
    cli("trust", "add", json.dumps(empty))  # it did sign once


def test_a_directory_is_not_a_missing_file(cli):
    cli("trust", "add", str(cli.folder), code=3)
    assert "is a directory" in cli.said and "no such file" not in cli.said


def test_each_time_of_a_revocation_is_told(cli):
    assert cli("trust", "revoke", "iss", A, "--at", "0") == f"revoked: iss {A} at any time\n"
    told = cli("trust", "revoke", "iss", B, "--at", "99999999999999")  # milliseconds, by mistake
    assert told == f"revoked: iss {B} from 3170843-11-07 09:46:39Z on\n"
    listed = cli("trust", "list")
    assert "ever" in listed and "3170843-11-07 09:46:39Z" in listed


def test_a_link_is_not_cut_by_a_command(cli):
    """As a mounted volume lays files down, here in a directory that can be written."""
    cli("trust", "add", "--id", A, KEY_A.x)
    folder = trust_dir(cli)
    [file] = folder.glob("*.json")
    (folder / "..one").mkdir(mode=0o755)
    (folder / "..data").symlink_to("..one")
    (folder / "..one" / "revoked.txt").write_text(f"iss {C} 1\n")
    file.rename(folder / "..one" / file.name)
    for name in (file.name, "revoked.txt"):
        (folder / name).symlink_to(f"..data/{name}")
    for args in (["revoke", "iss", B], ["add", "--id", A, KEY_B.x], ["remove", A],
                 ["add", trust_file(A, KEY_B)]):
        assert cli("trust", *args, code=3) == ""
        assert "is a link: change it where it leads to" in cli.said
    assert all((folder / name).is_symlink() for name in (file.name, "revoked.txt"))
    assert issuers(cli) == {A: {KEY_A.kid}}
    assert (folder / "..one" / "revoked.txt").read_text() == f"iss {C} 1\n"
    cli("key", "new")
    keys = keys_dir(cli)
    (keys / "..one").mkdir(mode=0o755)
    (keys / "current.key").rename(keys / "..one" / "current.key")
    (keys / "current.key").symlink_to("..one/current.key")
    assert cli("key", "rotate", "--force", code=3) == ""
    assert "current.key is a link" in cli.said and (keys / "current.key").is_symlink()


def test_a_revocation_without_a_time_counts_from_now(cli):
    before = int(time.time())
    assert before <= cli.json("trust", "revoke", "iss", A)["from"] <= time.time()
    file = trust_dir(cli) / "revoked.txt"
    assert file.read_text().startswith(f"iss {A} ")
    assert stat.S_IMODE(file.stat().st_mode) & 0o022 == 0


@pytest.mark.parametrize("args", [
    ("kid",), ("kid", "short"), ("kid", A), ("iss", KEY_A.kid), ("tth", KEY_A.kid + "A"),
    ("key", KEY_A.kid), ("kid", KEY_A.kid, "--at", "soon"), ("kid", KEY_A.kid, "more"),
])
def test_what_cannot_be_revoked_is_said(cli, args):
    cli("trust", "revoke", *args, code=2)
    assert cli.json("trust", "list")["revoked"] == []


def test_a_broken_list_is_a_failure_not_an_empty_one(trusting):
    file = trust_dir(trusting) / "revoked.txt"
    file.write_text(f"kid {KEY_B.kid}\n")
    listed = trusting.json("trust", "list", code=1)
    assert [problem["file"] for problem in listed["problems"]] == ["revoked.txt"]
    trusting("token", "verify", "--audience", C, "--now", str(NOW), stdin=f"{ROOT}\n{CHILD}\n",
             code=3)
    assert "line 1" in trusting.said
    trusting("trust", "revoke", "iss", A, code=3)
    assert file.read_text() == f"kid {KEY_B.kid}\n"


def test_mounted_keys_are_read_and_not_written(cli):
    """As Kubernetes lays out a secret: links through ..data, files root's and readable by a group."""
    cli("key", "new", "--id", A)
    folder = keys_dir(cli)
    generation = folder / "..2026_11_21"
    generation.mkdir()
    (folder / "current.key").rename(generation / "current.key")
    (generation / "current.key").chmod(0o440)
    (folder / "..data").symlink_to("..2026_11_21")
    (folder / "current.key").symlink_to("..data/current.key")
    shown = cli.json("key", "show")
    assert [key["role"] for key in shown["keys"]] == ["current"]
    outside = cli.folder / "stolen.key"
    outside.write_bytes((generation / "current.key").read_bytes())
    outside.chmod(0o600)
    (folder / "next.key").symlink_to(outside)
    cli("key", "show", code=3)
    assert "points outside" in cli.said


MOUNT = """
set -e
umask 022
for dir in keys trust.d; do
    mkdir -p "$STATE/$dir"
    mount -t tmpfs -o mode="$1" none "$STATE/$dir"
    mkdir "$STATE/$dir/..2026_11_21"
    ln -s ..2026_11_21 "$STATE/$dir/..data"
done
printf '%s\\n' "$KEY_LINE" > "$STATE/keys/..data/current.key"
chmod 0440 "$STATE/keys/..data/current.key"
ln -s ..data/current.key "$STATE/keys/current.key"
printf '%s\\n' "$BUNDLE" > "$STATE/trust.d/..data/peers.bundle.json"
ln -s ..data/peers.bundle.json "$STATE/trust.d/peers.bundle.json"
chmod 0777 "$STATE"  # an emptyDir, into which the whole pod may write
[ "$2" = rw ] || for dir in keys trust.d; do mount -o remount,ro "$STATE/$dir"; done
shift 2
exec "$@"
"""


def in_pod(cli, mode: str, how: str, *args: str):
    """Run a verb where keys/ and trust.d/ are file systems of their own, as a pod's volumes are."""
    state = cli.folder / "state" / "waybill" / "default"
    env = {**cli.env, "STATE": str(state), "KEY_LINE": f"waybill-sk-v1:{KEY_A.kid}:{b64(bytes(range(32)))}",
           "BUNDLE": '{"wb_bundles":[' + trust_file(B, KEY_B) + "]}"}
    done = subprocess.run(["unshare", "-rm", "sh", "-c", MOUNT, "sh", mode, how, str(cli.program), *args],
                          env=env, capture_output=True, text=True, timeout=20)
    if done.returncode != 0 and not done.stderr.startswith("waybill: "):
        pytest.skip(f"no mount namespaces here: {done.stderr.strip()}")
    return done


@pytest.mark.parametrize("mode", ["1777", "0777"])  # a Secret's volume, a ConfigMap's
def test_a_pods_volumes_are_closed_by_being_read_only(cli, mode):
    shown = in_pod(cli, mode, "ro", "key", "show", "--json")
    assert shown.returncode == 0, shown.stderr
    assert [key["kid"] for key in json.loads(shown.stdout)["keys"]] == [KEY_A.kid]
    listed = json.loads(in_pod(cli, mode, "ro", "trust", "list", "--json").stdout)
    assert [issuer["issuer"] for issuer in listed["issuers"]] == [B] and listed["problems"] == []
    rotated = in_pod(cli, mode, "ro", "key", "rotate")
    assert rotated.returncode == 3 and "Read-only file system" in rotated.stderr
    assert "docs/trust.md" in rotated.stderr
    writable = in_pod(cli, mode, "rw", "key", "show")
    assert writable.returncode == 3 and "others may write there" in writable.stderr
    own = cli.folder / "state" / "waybill" / "default"
    assert stat.S_IMODE(own.stat().st_mode) == 0o777
    (own / "keys").rmdir()
    cli("key", "new", code=3)  # but for keys on the same file system it does matter
    assert "others may write there" in cli.said
