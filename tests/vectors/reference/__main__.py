# SPDX-License-Identifier: Apache-2.0
"""python -m reference FILE [NAME]: what this verifier says of each case, one line of JSON each."""

import json
import sys

from reference import verifier


def main() -> None:
    with open(sys.argv[1], encoding="utf-8") as file:
        vectors = json.load(file)
    for case in vectors["cases"]:
        if len(sys.argv) < 3 or case["name"] == sys.argv[2]:
            print(json.dumps({"name": case["name"], **verifier.run(case, vectors)}))


main()
