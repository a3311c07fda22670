# SPDX-License-Identifier: Apache-2.0
"""Steps 1 to 6 of docs/tokens.md section 8: the carrier, and each link's form."""

from __future__ import annotations

from typing import Any

from builder import (A, B, BDG_1, CHILD, GONE, KEY_OF, KEYS, NOBODY, NOLIM, PAYLOAD_1, ROOT, SALT_1,
                     SALT_2, b64, child, claims, claims_1, claims_2, compact, goes_on, hash_of,
                     header, header_of, in_order, link, one, parent, payload, raw, reject, replaced,
                     token, two, unverified, with_member)

LONG = 1_000_000


def carriers() -> None:
    """Step 1."""
    one("missing", unverified("MISSING"), carrier=None)
    one("missing_empty_text", unverified("MISSING"), carrier_text="")
    one("missing_enforce", reject("MISSING"), carrier=None, row=22, config={"mode": "enforce"})
    one("missing_observe", unverified("MISSING"), carrier=None, config={"mode": "observe"})
    one("missing_required_of_this_peer", reject("MISSING"), carrier=None, row=22,
        message={"peer": A}, config={"policies": {A: {"require": True}}})
    one("missing_required_of_another_peer", unverified("MISSING"), carrier=None,
        message={"peer": A}, config={"policies": {NOBODY: {"require": True}}})
    one("missing_from_rejected_peer", unverified("MISSING"), carrier=None, message={"peer": A},
        config={"policies": {A: {"verdict": "reject"}}})

    good = {"v": "1", "chain": [ROOT], "salt": b64(SALT_1)}
    shapes: dict[str, Any] = {
        "array": [good], "string": "1", "number": 1, "true": True, "empty": {},
        "no_v": {"chain": [ROOT], "salt": b64(SALT_1)}, "v_2": {**good, "v": "2"},
        "v_number_2": {**good, "v": 2}, "v_true": {**good, "v": True}, "v_null": {**good, "v": None},
        "v_string_1_0": {**good, "v": "1.0"}, "v_empty": {**good, "v": ""},
        "v_array": {**good, "v": ["1"]}, "extra_member": {**good, "traceparent": "00"},
        "no_chain": {"v": "1", "salt": b64(SALT_1)}, "chain_null": {**good, "chain": None},
        "chain_string": {**good, "chain": ROOT}, "chain_object": {**good, "chain": {"0": ROOT}},
        "chain_of_number": {**good, "chain": [ROOT, 1]},
        "chain_of_null": {**good, "chain": [None]}, "chain_of_array": {**good, "chain": [[ROOT]]},
        "no_salt": {"v": "1", "chain": [ROOT]}, "salt_null": {**good, "salt": None},
        "salt_number": {**good, "salt": 1}, "salt_empty": {**good, "salt": ""},
        "salt_15_bytes": {**good, "salt": b64(SALT_1[:15])},
        "salt_17_bytes": {**good, "salt": b64(SALT_1 + b"x")},
        "salt_padded": {**good, "salt": b64(SALT_1) + "=="},
        "salt_low_bits": {**good, "salt": b64(SALT_1)[:-1] + "x"},
        "salt_plus": {**good, "salt": "+" + b64(SALT_1)[1:]},
        "receipts": {"v": "1", "receipts": [ROOT]},
        "chain_and_receipts": {**good, "receipts": []},
    }
    for name, shape in shapes.items():
        one(f"carrier_{name}", reject("CARRIER"), carrier=shape)
    one("carrier_reordered", goes_on(),
        carrier={"salt": b64(SALT_1), "chain": [ROOT], "v": "1"})
    one("carrier_v_number_1", goes_on(), carrier={**good, "v": 1})
    text = compact(good)
    for name, spelling in {"1_0": "1.0", "1e0": "1e0", "10e_1": "10e-1"}.items():
        one(f"carrier_v_{name}", goes_on(), carrier_text=replaced(text, '"v":"1"', f'"v":{spelling}'))
    one("carrier_v_1_5", reject("CARRIER"), carrier_text=replaced(text, '"v":"1"', '"v":1.5'))
    one("carrier_white_space", goes_on(), carrier_text=f" \t\r\n{text}\n ")
    one("carrier_escaped_link", goes_on(),
        carrier_text=replaced(text, ROOT, "\\u0065" + ROOT[1:]))
    broken = {"cut": text[:-1], "two_values": text + "{}", "comma": text[:-1] + ",}",
              "repeated_v": text[:-1] + ',"v":"1"}', "repeated_escaped": text[:-1] + ',"\\u0076":"1"}',
              "v_leading_zero": replaced(text, '"v":"1"', '"v":01'),
              "single_quotes": text.replace('"', "'"), "byte_order_mark": "\ufeff" + text,
              "control": replaced(text, '"v":"1"', '"v":"1\n"'), "not_json": ROOT}
    for name, fault in broken.items():
        one(f"carrier_text_{name}", reject("CARRIER"), carrier_text=fault)
    one("order_carrier_before_chain_len", reject("CARRIER"),
        carrier={**good, "chain": [ROOT] * 9, "salt": "x"})
    one("order_link_no_string_before_chain_len", reject("CARRIER"),
        carrier={**good, "chain": [ROOT] * 8 + [1]})
    one("carrier_fault_is_not_soft", reject("CARRIER"), carrier={}, config={"mode": "link"})


def long_chain(n: int) -> tuple[list[str], list[str]]:
    """n links and the n + 1 ids that they run through, the last two of section 19's message."""
    ids = [A] + [f"spiffe://example.org/n{i}" for i in range(n - 1)] + [B]
    links: list[str] = []
    for i in range(n):
        changes: dict[str, Any] = {"iss": ids[i], "aud": ids[i + 1], "dep": i, "mxd": 7}
        if i:
            changes["pth"] = hash_of(links[-1])
        links.append(token(in_order(claims_1(**changes)), KEYS["a"]))
    return links, ids


def sizes() -> None:
    """Step 2."""
    from builder import bundle, jwk

    eight, ids = long_chain(8)
    bundles = ["a"] + [bundle(f"a_key_of_n{i}", ids[i + 1], jwk(KEYS["a"].x)) for i in range(7)]
    one("links_8", goes_on(), *eight, row=13, config={"bundles": bundles})
    one("links_9", reject("CHAIN_LEN"), *([ROOT] * 9), row=13)
    one("links_40", reject("CHAIN_LEN"), *(["x"] * 40))
    one("links_0", reject("CHAIN_LEN"), carrier={"v": "1", "chain": [], "salt": b64(SALT_1)})
    one("link_4096", reject("SYNTAX"), "a" * 4096, row=13)
    one("link_4097", reject("SIZE"), "a" * 4097, row=13)
    one("link_60000", reject("SIZE"), "a" * 60000, row=13)
    one("chain_24576", reject("SYNTAX"), *(["a" * 3072] * 8), row=13)
    one("chain_24577", reject("SIZE"), *(["a" * 3072] * 7), "a" * 3073, row=13)
    one("order_chain_len_before_size", reject("CHAIN_LEN"), *(["a" * 4097] * 9))
    two("order_ancestor_size_before_leaf_syntax", reject("SIZE"), "a" * 4097, "a.b")


def encoding() -> None:
    """Step 3."""
    head, body, signature = ROOT.split(".")
    syntax = {"empty": "", "one_part": head, "two_parts": f"{head}.{body}",
              "four_parts": f"{ROOT}.{signature}", "no_header": f".{body}.{signature}",
              "no_payload": f"{head}..{signature}", "no_signature": f"{head}.{body}.",
              "leading_dot": f".{ROOT}", "only_dots": "..",
              "json_serialisation": compact({"protected": head, "payload": body,
                                             "signature": signature})}
    for name, text in syntax.items():
        one(f"syntax_{name}", reject("SYNTAX"), text)
    wide = compact(header_of(KEYS["a"]))
    one("header_256_bytes", goes_on(), token(claims_1(), header=wide + " " * (256 - len(wide))),
        row=13)
    one("header_257_bytes", reject("SIZE"), token(claims_1(), header=wide + " " * (257 - len(wide))),
        row=13)
    payload("payload_2560_bytes", goes_on(), PAYLOAD_1 + " " * (2560 - len(PAYLOAD_1)), row=13)
    payload("payload_2561_bytes", reject("SIZE"), PAYLOAD_1 + " " * (2561 - len(PAYLOAD_1)), row=13)
    spoilt = {
        "header_padding": f"{head}==.{body}.{signature}", "header_plus": f"+{head[1:]}.{body}.{signature}",
        "header_slash": f"/{head[1:]}.{body}.{signature}", "payload_space": f"{head}. {body[1:]}.{signature}",
        "payload_line_feed": f"{head}.{body[:9]}\n{body[9:]}.{signature}",
        "payload_question_mark": f"{head}.{body}?.{signature}",
        "payload_not_ascii": f"{head}.é{body[1:]}.{signature}",
        "payload_length_1_mod_4": f"{head}.{body[:len(body) // 4 * 4]}A.{signature}",
        "signature_padding": f"{ROOT}==", "signature_low_bits": f"{ROOT[:-1]}{'x'}",
        "signature_63_bytes": f"{head}.{body}.{b64(bytes(63))}",
        "signature_65_bytes": f"{head}.{body}.{b64(bytes(65))}",
        "signature_one_letter": f"{head}.{body}.A",
    }
    for name, text in spoilt.items():
        one(f"b64_{name}", reject("B64"), text)
    low = b64(b"{}")  # "e30": two unused bits
    one("b64_header_low_bits", reject("B64"), f"{low[:-1]}1.{body}.{signature}")
    one("b64_payload_low_bits", reject("B64"), f"{head}.{low[:-1]}1.{signature}")
    one("order_syntax_before_part_size", reject("SYNTAX"), f"{'A' * 343}.{body}.{signature}.x")
    one("order_part_size_before_b64", reject("SIZE"), f"{'=' * 343}.{body}.{signature}")
    one("order_payload_size_before_header_b64", reject("SIZE"), f"={head[1:]}.{'A' * 3415}.{signature}")
    one("order_b64_before_utf8", reject("B64"), f"{b64(bytes([0xff]))}.{body}.{signature}=")
    one("order_payload_b64_before_header_json", reject("B64"), f"{b64(b'[]')}.={body[1:]}.{signature}")


def json_text() -> None:
    """Step 4."""
    start = PAYLOAD_1.encode()

    def spliced(bad: bytes) -> bytes:
        return start[:-1] + b',"x":"' + bad + b'"}'

    utf8 = {"overlong_2": b"\xc0\x80", "overlong_2_slash": b"\xc0\xaf", "overlong_3": b"\xe0\x80\x80",
            "overlong_4": b"\xf0\x80\x80\x80", "surrogate": b"\xed\xa0\x80",
            "surrogate_pair": b"\xed\xa0\xbd\xed\xb8\x80", "beyond_unicode": b"\xf4\x90\x80\x80",
            "lone_continuation": b"\x80", "cut_sequence": b"\xe2\x82", "fe": b"\xfe",
            "latin_1": "é".encode("latin-1")}
    for name, bad in utf8.items():
        payload(f"utf8_{name}", reject("UTF8"), spliced(bad), row=15)
    escapes = {"lone_high": "\\ud800", "lone_low": "\\udc00", "high_high": "\\ud800\\ud800",
               "high_then_text": "\\ud800x", "low_high": "\\udc00\\ud800", "nul": "\\u0000",
               "upper_case_hex": "\\uD800"}
    for name, bad_text in escapes.items():
        payload(f"utf8_escape_{name}", reject("UTF8"), with_member(f'"x":"{bad_text}"'), row=15)
    payload("utf8_escape_in_name", reject("UTF8"), with_member('"\\udfff":1'), row=15)
    payload("utf8_byte_order_mark", reject("UTF8"), b"\xef\xbb\xbf" + start, row=15)
    header("utf8_header", reject("UTF8"), compact(header_of(KEYS["a"])).encode()[:-1] + b'\xff}')
    payload("utf8_good", goes_on(), with_member('"x":"\\ud83d\\ude00 \U0001f600 é \\u00e9"'))
    payload("utf8_over_the_whole_text_first", reject("UTF8"), b"[" + start + b"\xff")
    payload("order_json_left_of_bad_escape", reject("JSON"), with_member("x:1,\"y\":\"\\ud800\""))
    payload("order_bad_escape_left_of_json", reject("UTF8"), with_member('"y":"\\ud800",x:1'))

    faults = {"array": f"[{PAYLOAD_1}]", "string": '"x"', "number": "1", "empty_space": "  ",
              "cut": PAYLOAD_1[:-1], "two_objects": PAYLOAD_1 + "{}", "trailing_comma":
              PAYLOAD_1[:-1] + ",}", "trailing_text": PAYLOAD_1 + "x", "leading_comma":
              "{," + PAYLOAD_1[1:], "single_quotes": PAYLOAD_1.replace('"', "'"), "unquoted_name":
              with_member("x:1"), "no_colon": with_member('"x" 1'), "no_value": with_member('"x":'),
              "nan": with_member('"x":NaN'), "infinity": with_member('"x":Infinity'),
              "undefined": with_member('"x":undefined'), "capital_true": with_member('"x":True'),
              "comment": "/* */" + PAYLOAD_1, "raw_line_feed": with_member('"x":"\n"'), "raw_tab":
              with_member('"x":"\t"'), "bad_escape": with_member('"x":"\\x41"'), "short_escape":
              with_member('"x":"\\u12"'), "array_comma": with_member('"x":[1,]'), "array_two_commas":
              with_member('"x":[1,,1]'), "mixed_brackets": with_member('"x":[1}'), "form_feed":
              PAYLOAD_1 + "\f", "no_break_space": PAYLOAD_1 + "\u00a0", "word_and_more":
              with_member('"x":nullx'), "nul_byte": PAYLOAD_1 + "\0"}
    for name, text in faults.items():
        payload(f"json_{name}", reject("JSON"), text, row=16 if name in ("nan", "infinity") else None)
    header("json_header", reject("JSON"), "[]")
    payload("json_words_and_escapes", goes_on(),
            with_member('"x":[true,false,null],"y":"\\"\\\\\\/\\b\\f\\n\\r\\t"'))
    payload("json_white_space", goes_on(), f" \t\r\n{PAYLOAD_1}\n\n")
    payload("claims_reordered", goes_on(),
            compact(dict(reversed(list(claims_1().items())))))

    dup = {"aud": ',"aud":"spiffe://example.org/b"', "aud_escaped": ',"\\u0061ud":"spiffe://example.org/b"',
           "unknown": ',"x":1,"x":1', "unknown_nested": ',"x":{"y":1,"y":1}', "empty_name": ',"":1,"":2'}
    for name, more in dup.items():
        payload(f"dup_{name}", reject("JSON_DUP"), PAYLOAD_1[:-1] + more + "}", row=14)
    payload("dup_lim", reject("JSON_DUP"), replaced(PAYLOAD_1, '"ms":600000', '"ms":600000,"ms":600000'),
            row=14)
    payload("dup_bnd", reject("JSON_DUP"), replaced(PAYLOAD_1, '"mid":', '"mid":"msg-1","mid":'), row=14)
    head = compact(header_of(KEYS["a"]))
    header("dup_header", reject("JSON_DUP"), replaced(head, '"alg"', '"alg":"Ed25519","alg"'), row=14)
    payload("same_name_at_two_depths", goes_on(), with_member('"x":{"x":{"x":1}},"y":{"x":1}'))
    payload("names_differ_in_case", goes_on(), with_member('"Aud":1,"AUD":2'))

    for text in ("1.0", "1e3", "-0", "-1", "00", "+1", "9007199254740992", "1E400", "01", ".5", "1.",
                 "1e", "0x10", "1a", "--1", "18446744073709551616", "1" * 80):
        label = text.replace(".", "_").replace("+", "plus_").replace("-", "minus_")[:20]
        row = 16
        payload(f"num_claim_{label}", reject("NUM"),
                replaced(PAYLOAD_1, '"tok":200000', f'"tok":{text}'), row=row)
    for text in ("1.5", "-1", "9007199254740992", "1e2"):
        label = text.replace(".", "_").replace("-", "minus_")
        payload(f"num_unknown_claim_{label}", reject("NUM"), with_member(f'"x":{text}'), row=16)
    payload("num_nested", reject("NUM"), with_member('"x":{"y":[0,1.0]}'), row=16)
    header("num_header", reject("NUM"), replaced(head, '"alg":"Ed25519"', '"alg":1.0'))
    payload("num_nolim", goes_on(), replaced(PAYLOAD_1, '"cost":500000', f'"cost":{NOLIM}'), row=16)
    payload("num_unknown_claim_nolim", goes_on(), with_member(f'"x":[0,{NOLIM}]'), row=16)
    payload("num_underscore_is_json", reject("JSON"), with_member('"x":1_000'))

    payload("depth_3", goes_on(), with_member('"x":{"y":{"z":1}},"w":[[1]]'))
    payload("depth_4", reject("DEPTH_JSON"), with_member('"x":{"y":{"z":{}}}'))
    payload("depth_4_arrays", reject("DEPTH_JSON"), with_member('"x":[[[]]]'))
    payload("depth_800", reject("DEPTH_JSON"), with_member('"x":' + "[" * 800 + "]" * 800))
    header("depth_header", reject("DEPTH_JSON"), replaced(head, '"alg":"Ed25519"', '"alg":[[[1]]]'))

    have = len(claims_1())
    forty = ",".join(f'"x{i}":{i}' for i in range(40 - have))
    payload("members_40", goes_on(), with_member(forty))
    payload("members_41", reject("SIZE"), with_member(forty + ',"y":1'))
    payload("elements_40", goes_on(), with_member('"x":[' + ",".join("1" * 40) + "]"))
    payload("elements_41", reject("SIZE"), with_member('"x":[' + ",".join("1" * 41) + "]"))
    payload("string_255", goes_on(), with_member(f'"x":"{"s" * 255}"'))
    payload("string_256", reject("SIZE"), with_member(f'"x":"{"s" * 256}"'))
    payload("string_256_bytes_128_characters", reject("SIZE"), with_member(f'"x":"{"é" * 128}"'))
    payload("name_255", goes_on(), with_member(f'"{"n" * 255}":1'))
    payload("name_256", reject("SIZE"), with_member(f'"{"n" * 256}":1'))

    payload("order_leftmost_num_then_dup", reject("NUM"), with_member('"x":1.0,"y":1,"y":1'))
    payload("order_leftmost_dup_then_num", reject("JSON_DUP"), with_member('"y":1,"y":1,"x":1.0'))
    payload("order_leftmost_depth_then_json", reject("DEPTH_JSON"), with_member('"x":[[[]]],x'))
    payload("order_leftmost_size_then_depth", reject("SIZE"),
            with_member(f'"x":"{"s" * 256}","y":[[[]]]'))
    one("order_header_json_before_payload_utf8", reject("NUM"),
        raw(replaced(head, '"alg":"Ed25519"', '"alg":1.0'), b"\xff", KEYS["a"]))
    one("order_payload_json_before_header_alg", reject("JSON"),
        raw(replaced(head, "Ed25519", "none"), "[]", KEYS["a"]))


def headers() -> None:
    """Step 5."""
    good = header_of(KEYS["a"])
    header("crit", reject("CRIT"), {**good, "crit": ["exp"]}, row=11)
    header("crit_and_b64", reject("CRIT"), {**good, "b64": False, "crit": ["b64"]}, row=11)
    header("crit_null", reject("CRIT"), {**good, "crit": None})
    for name in ("jwk", "jku", "x5u", "x5c", "zip", "cty", "b64", "x5t", "Alg", "foo"):
        value: Any = {"kty": "OKP", "crv": "Ed25519", "x": b64(KEYS["h"].x)} if name == "jwk" else "x"
        header(f"hdr_{name}", reject("HDR"), {**good, name: value}, row=11 if name in ("jwk", "jku") else None)
    for name, alg in {"none": "none", "None": "None", "HS256": "HS256", "ES256": "ES256",
                      "Ed448": "Ed448", "lower_case": "ed25519", "number": 25519, "null": None,
                      "array": ["Ed25519"], "empty": "", "space": "Ed25519 ", "lower_eddsa": "eddsa",
                      "RS256": "RS256"}.items():
        header(f"alg_{name}", reject("ALG"), {**good, "alg": alg}, row=10)
    header("alg_absent", reject("ALG"), {"typ": good["typ"], "kid": good["kid"]}, row=10)
    header("alg_eddsa", goes_on(), {**good, "alg": "EdDSA"}, row=10)
    signed = f'{b64(compact({**good, "alg": "none"}).encode())}.{b64(PAYLOAD_1.encode())}'
    one("alg_none_without_signature", reject("SYNTAX"), f"{signed}.", row=10)
    for name, typ in {"receipt": "waybill-receipt+jwt", "jwt": "JWT", "upper_case": "Waybill-Trace+JWT",
                      "media_type": "application/waybill-trace+jwt", "number": 1, "empty": "",
                      "null": None}.items():
        header(f"typ_{name}", reject("TYP"), {**good, "typ": typ}, row=10)
    header("typ_absent", reject("TYP"), {"alg": "Ed25519", "kid": good["kid"]}, row=10)
    one("typ_card_signature", reject("TYP"), token(claims_1(), header={
        "alg": "EdDSA", "typ": "JOSE", "kid": good["kid"]}), row=10)
    receipt = {"ver": 1, "iss": A, "aud": B, "jti": "wMHCw8TFxsfIycrLzM3Ozw", "iat": 1767225602,
               "tth": hash_of(ROOT), "seq": 0, "fin": True, "dec": "continue", "st": "ok"}
    one("typ_receipt_as_token", reject("TYP"), token(receipt, KEYS["a"], {
        **good, "typ": "waybill-receipt+jwt"}), row=10)
    one("typ_access_token_by_the_same_key", reject("TYP"), token(
        {"iss": A, "sub": A, "aud": B, "exp": 1767225720, "iat": 1767225600, "jti": "x"}, KEYS["a"],
        {**good, "typ": "at+jwt"}), row=10)
    for name, kid in {"absent": GONE, "short": good["kid"][:-1], "long": good["kid"] + "A",
                      "padded": good["kid"] + "=", "low_bits": good["kid"][:-1] + "Z", "number": 1,
                      "null": None, "empty": "", "not_b64": "!" * 43, "uri": "https://x.example/k"}.items():
        head = {**good, "kid": kid}
        if kid is GONE:
            del head["kid"]
        header(f"kid_{name}", reject("KID"), head)
    header("header_reordered", goes_on(), dict(reversed(list(good.items()))))
    header("header_white_space", goes_on(), compact(good).replace(",", " ,\n\t").replace(":", " : "))
    header("header_escaped", goes_on(), replaced(compact(good), "Ed25519", "Ed\\u0032\\u0035519"))
    header("order_crit_before_hdr", reject("CRIT"), {**good, "jwk": 1, "crit": ["jwk"], "alg": "none"})
    header("order_hdr_before_alg", reject("HDR"), {**good, "jwk": 1, "alg": "none"})
    header("order_hdr_before_alg_absent", reject("HDR"), {"typ": 1, "kid": 1, "cty": "JWT"})
    header("order_alg_before_typ", reject("ALG"), {**good, "alg": "none", "typ": "JWT"})
    header("order_typ_before_kid", reject("TYP"), {**good, "typ": "JWT", "kid": "x"})
    one("order_kid_before_ver", reject("KID"),
        token(claims_1(ver=2), header={**good, "kid": "x"}))


REQUIRED = "iss sub aud jti iat exp dln tid psid tfl dep mxd lim bnd".split()


def claim_forms() -> None:
    """Step 6."""
    for name, value in {"absent": GONE, "0": 0, "2": 2, "string": "1", "true": True, "null": None}.items():
        claims(f"ver_{name}", reject("VER"), ver=value)
    for name in REQUIRED:
        claims(f"claim_missing_{name}", reject("CLAIM_MISSING"), **{name: GONE})
    child("claim_missing_pth", reject("CLAIM_MISSING"), pth=GONE)
    for name in ("cur", "cost", "tok", "ms"):
        claims(f"claim_missing_lim_{name}", reject("CLAIM_MISSING"), lim={name: GONE})
    for name in ("mth", "mid", "bdg"):
        claims(f"claim_missing_bnd_{name}", reject("CLAIM_MISSING"), bnd={name: GONE})
    for name, good in {"tth": hash_of(ROOT), "hop": 1}.items():
        claims(f"claim_missing_lnk_without_{'hop' if name == 'tth' else 'tth'}",
               reject("CLAIM_MISSING"), lnk={name: good})
    claims("claim_missing_cnf_jkt", reject("CLAIM_MISSING"), cnf={})

    wrong: dict[str, Any] = {"iss": 1, "sub": None, "aud": 1, "jti": 1, "iat": "1", "exp": True,
                             "dln": "5", "tid": 1, "psid": [], "tfl": "1", "dep": "0", "mxd": False,
                             "lnk": "x", "cnf": [], "scp": "x", "lim": [], "bnd": "x"}
    for name, value in wrong.items():
        made = in_order({**claims_1(), name: value})
        one(f"claim_type_{name}", reject("CLAIM_TYPE"), token(made, KEYS["a"]))
    claims("claim_type_aud_array", reject("CLAIM_TYPE"), aud=[B], row=4)
    claims("claim_type_number_in_quotes", reject("CLAIM_TYPE"), lim={"tok": "5"}, row=16)
    claims("claim_type_scp_element", reject("CLAIM_TYPE"), scp=["find", 1])
    child("claim_type_pth", reject("CLAIM_TYPE"), pth=1)
    for name, value in {"cur": 840, "cost": None, "ms": "1"}.items():
        claims(f"claim_type_lim_{name}", reject("CLAIM_TYPE"), lim={name: value})
    for name, value in {"mth": 1, "mid": 1, "ctx": None, "tsk": 1, "bdg": []}.items():
        claims(f"claim_type_bnd_{name}", reject("CLAIM_TYPE"), bnd={name: value})
    claims("claim_type_lnk_hop", reject("CLAIM_TYPE"), lnk={"tth": hash_of(ROOT), "hop": "1"})
    claims("claim_type_cnf_jkt", reject("CLAIM_TYPE"), cnf={"jkt": 1})

    claims("lim_unknown", reject("LIM_UNKNOWN"), lim={"usd": 1})
    claims("lim_unknown_null", reject("LIM_UNKNOWN"), lim={"calls": None})
    claims("bnd_unknown", reject("CLAIM_RANGE"), bnd={"uri": "x"})
    claims("lnk_unknown", reject("CLAIM_RANGE"), lnk={"tth": hash_of(ROOT), "hop": 1, "x": 1})
    claims("cnf_unknown", reject("CLAIM_RANGE"), cnf={"jkt": KEYS["b"].kid, "jwk": {}})
    claims("unknown_claims_are_ignored", goes_on(), nbf=99, smp=1, x={"y": 1}, act="z", pthh=None)

    ids = {"upper_case": "spiffe://example.org/B", "upper_scheme": "SPIFFE://example.org/b",
           "http": "http://example.org/b", "no_scheme": "example.org/b", "urn": "urn:example:b",
           "empty": "", "scheme_alone": "https://", "no_host": "https:///b", "space": "spiffe://example.org/ b",
           "quote": 'spiffe://example.org/"b', "backslash": "spiffe://example.org\\b",
           "less": "spiffe://example.org/<b", "greater": "spiffe://example.org/b>",
           "fragment": "spiffe://example.org/b#x", "delete": "spiffe://example.org/\x7f",
           "not_ascii": "spiffe://exämple.org/b", "bytes_256_is_size": None}
    for name, value in ids.items():
        if value is not None:
            claims(f"id_{name}", reject("CLAIM_RANGE"), aud=value, row=4 if "upper" in name else None)
    claims("id_homoglyph", reject("CLAIM_RANGE"), aud="spiffe://ex\u0430mple.org/b", row=15)
    claims("id_iss", reject("CLAIM_RANGE"), iss="https://Example.org/a")
    claims("id_sub", reject("CLAIM_RANGE"), sub="alice")
    longest = "spiffe://example.org/" + "b" * (255 - len("spiffe://example.org/"))
    one("id_255_bytes", goes_on(), token(claims_1(aud=longest)), config={"self_ids": [longest]})
    claims("id_256_bytes", reject("SIZE"), aud=longest + "b")
    odd = "https://agents.example.net:8443/a'(b);c=d?e=%20~{|}^`!$&*+,@[x]_"
    one("id_allowed_bytes", link(), token(claims_1(aud=odd)), config={"self_ids": [odd]})

    jti = claims_1()["jti"]
    for name, value in {"short": jti[:-1], "long": jti + "A", "low_bits": jti[:-1] + "x",
                        "padded": jti + "==", "empty": "", "plus": "+" + jti[1:]}.items():
        claims(f"jti_{name}", reject("CLAIM_RANGE"), jti=value)
    hexes = {"tid": 32, "psid": 16}
    for name, digits in hexes.items():
        good = claims_1()[name]
        for what, value in {"zero": "0" * digits, "upper_case": good.upper(), "short": good[1:],
                            "long": good + "0", "not_hex": "g" + good[1:], "empty": ""}.items():
            claims(f"{name}_{what}", reject("CLAIM_RANGE"), **{name: value})
    claims("tfl_255", goes_on(), tfl=255)
    claims("tfl_0", goes_on(), tfl=0)
    claims("tfl_256", reject("CLAIM_RANGE"), tfl=256)
    claims("mxd_7", goes_on(), mxd=7)
    claims("mxd_8", reject("CLAIM_RANGE"), mxd=8)
    claims("mxd_0_seals", goes_on(), mxd=0)
    claims("dep_8", reject("CLAIM_RANGE"), dep=8, mxd=8)
    child("mxd_below_dep", reject("CLAIM_RANGE"), mxd=0)
    claims("pth_in_a_root", reject("CLAIM_RANGE"), pth=hash_of(CHILD))
    child("pth_short", reject("CLAIM_RANGE"), pth=hash_of(ROOT)[:-1])
    child("pth_low_bits", reject("CLAIM_RANGE"), pth=hash_of(ROOT)[:-1] + "9")
    claims("lnk_hop_0", reject("CLAIM_RANGE"), lnk={"tth": hash_of(CHILD), "hop": 0})
    claims("lnk_tth_short", reject("CLAIM_RANGE"), lnk={"tth": "x", "hop": 1})
    claims("cnf_jkt_short", reject("CLAIM_RANGE"), cnf={"jkt": "x"})
    for name, value in {"lower": "usd", "two": "US", "four": "USDX", "digit": "US1", "empty": "",
                        "euro": "€"}.items():
        claims(f"cur_{name}", reject("CLAIM_RANGE"), lim={"cur": value})
    claims("lim_all_nolim", goes_on(), lim={"cost": NOLIM, "tok": NOLIM, "ms": NOLIM}, row=16)
    claims("lim_all_zero", goes_on(), lim={"cost": 0, "tok": 0, "ms": 0})

    sixteen = [f"skill-{i}" for i in range(16)]
    claims("scp_16", goes_on(), scp=sixteen)
    claims("scp_17", reject("CLAIM_RANGE"), scp=sixteen + ["x"])
    claims("scp_empty", goes_on(), scp=[])
    claims("scp_64_bytes", goes_on(), scp=["s" * 64])
    claims("scp_65_bytes", reject("CLAIM_RANGE"), scp=["s" * 65])
    claims("scp_empty_skill", reject("CLAIM_RANGE"), scp=[""])
    claims("scp_control", reject("CLAIM_RANGE"), scp=["a\nb"])
    claims("scp_twice", reject("CLAIM_RANGE"), scp=["a", "b", "a"])

    for name, value in {"cancel_task": "CancelTask", "version_0_3": "message/send", "lower_case":
                        "sendMessage", "empty": ""}.items():
        claims(f"mth_{name}", reject("CLAIM_RANGE"), bnd={"mth": value})
    texts = {"line_feed": "a\nb", "escape": "a\x1b[2Jb", "next_line": "a\u0085b", "tab": "a\tb",
             "delete": "a\x7fb", "c1": "a\u009fb", "unit_separator": "a\x1fb", "empty": "", "bytes_129": "m" * 129,
             "bytes_130_of_65": "é" * 65}
    for name, value in texts.items():
        row = 15 if name in ("line_feed", "escape", "next_line") else None
        claims(f"mid_{name}", reject("CLAIM_RANGE"), bnd={"mid": value}, row=row)
        if name in ("line_feed", "empty", "bytes_129"):
            claims(f"ctx_{name}", reject("CLAIM_RANGE"), bnd={"ctx": value})
            claims(f"tsk_{name}", reject("CLAIM_RANGE"), bnd={"tsk": value})
    for name, value in {"bytes_128": "m" * 128, "bytes_128_of_64": "é" * 64, "no_break_space": "a\u00a0b",
                        "emoji": "\U0001f600", "quotes": "';-- \" \\ <b> %s {}", "spaces": "  "}.items():
        one(f"mid_good_{name}", goes_on(), token(claims_1(bnd={"mid": value})),
            message={"messageId": value}, row=18 if name == "quotes" else None)
    claims("bdg_short", reject("CLAIM_RANGE"), bnd={"bdg": BDG_1[:-1]})
    claims("bdg_low_bits", reject("CLAIM_RANGE"), bnd={"bdg": BDG_1[:-1] + "N"})
    claims("bdg_padded", reject("CLAIM_RANGE"), bnd={"bdg": BDG_1 + "="})


def claim_orders() -> None:
    claims("order_ver_before_missing", reject("VER"), ver=2, iss=GONE)
    claims("order_iss_missing_before_sub_type", reject("CLAIM_MISSING"), iss=GONE, sub=1)
    claims("order_iss_type_before_sub_missing", reject("CLAIM_TYPE"), sub=GONE, iss=1)
    claims("order_iss_range_before_sub_missing", reject("CLAIM_RANGE"), iss="x", sub=GONE)
    claims("order_aud_range_before_jti_type", reject("CLAIM_RANGE"), aud="x", jti=1)
    claims("order_exp_type_before_tid_range", reject("CLAIM_TYPE"), exp="1", tid="x")
    claims("order_mxd_range_before_lim_missing", reject("CLAIM_RANGE"), mxd=8, lim=GONE)
    claims("order_scp_type_before_scp_range", reject("CLAIM_TYPE"), scp=["", 1])
    claims("order_lim_before_bnd", reject("LIM_UNKNOWN"), lim={"x": 1}, bnd=GONE)
    claims("order_lim_unknown_before_cur", reject("LIM_UNKNOWN"), lim={"x": 1, "cur": GONE})
    claims("order_lim_type_before_unknown", reject("CLAIM_TYPE"), lim=1)
    claims("order_cur_range_before_cost_missing", reject("CLAIM_RANGE"), lim={"cur": "x", "cost": GONE})
    claims("order_lim_range_before_bnd_missing", reject("CLAIM_RANGE"), lim={"cur": "x"}, bnd=GONE)
    claims("order_bnd_unknown_before_mth_type", reject("CLAIM_RANGE"), bnd={"x": 1, "mth": 1})
    claims("order_mid_before_bdg", reject("CLAIM_RANGE"), bnd={"mid": "", "bdg": GONE})
    claims("order_lnk_before_lim", reject("CLAIM_RANGE"), lnk={"x": 1}, lim=GONE)
    claims("order_claims_before_aud", reject("CLAIM_RANGE"), aud=NOBODY, tfl=256)

    bad_root = token(claims_1(ver=2))
    two("order_leaf_before_ancestor", reject("CLAIM_RANGE"), bad_root, token(claims_2(bad_root, tfl=256)))
    two("order_leaf_step_6_before_ancestor_step_3", reject("CLAIM_TYPE"), "a.b",
        token(in_order(claims_2(tfl="x"))))
    two("order_leaf_step_3_before_ancestor_step_4", reject("B64"),
        raw(compact(header_of(KEYS["a"])), "[]", KEYS["a"]), CHILD + "=")
    two("order_ancestor_form_before_leaf_aud", reject("VER"), bad_root, token(claims_2(bad_root, aud=NOBODY)))
    two("ancestor_json", reject("JSON"), raw(compact(header_of(KEYS["a"])), "[]", KEYS["a"]), CHILD)
    two("ancestor_alg", reject("ALG"), token(claims_1(), header={**header_of(KEYS["a"]), "alg": "none"}),
        CHILD)
    three = [bad_root, token(claims_2(tid="x")), token(claims_2())]
    two("order_nearer_ancestor_first", reject("CLAIM_RANGE"), *three)


def cases() -> None:
    carriers()
    sizes()
    encoding()
    json_text()
    headers()
    claim_forms()
    claim_orders()
