# SPDX-License-Identifier: Apache-2.0
"""A verifier of Waybill tokens, written from docs/tokens.md alone.

It shares no code with Waybill and uses no JOSE library, so that where the two agree, the text was
read the same way twice. It is written to be read beside the text, not to be fast.

    strict.py    section 3: base64url, JSON
    curve.py     section 14: points of edwards25519 with Python's integers
    digest.py    section 6
    verifier.py  sections 2, 4, 5, 8, 9, 10, 11, 13

`python -m reference token_v1.json [NAME]` prints one line of JSON per case.
"""
