# SPDX-License-Identifier: Apache-2.0
"""The matrix: real instrumentations, package by package, against every canonical field.

An agent is instrumented with what its framework brings, and each of these packages has words of its own for one
and the same call of a model. A sidecar puts them into one language (docs/model.md). Whether it does cannot be
told by a table that the same people wrote: so here the packages themselves send, at pinned versions, each in a
program and an environment of its own.

        sender (python/senders, node/senders)
          |  asks                     |  exports OTLP
          v                           v
        provider.py                 capture.py  -- hands each export on -->  waybilld  -->  SQLite store
        writes down what            keeps each export                                          |
        it was asked and sent       as it came                                                 v
          |                           |                                                   cells.py
          +---------------------------+--------------- expected, and found ------------------>  judges

All senders go through the same scenarios (scenarios.json): a chat, a streamed one, a call of a tool with the
answer after it, one whose prompt came from the cache in part and that reasoned, an embedding, a refusal (404)
and a breakdown (500). The model that answers is not the one that was asked, and every count of tokens is a number
of its own. The session, the user, the agent and the workflow are set as the package documents it; where it has no
word for one, the sender sets none.

A cell is what the store should say because the provider sent it, or the sender set it: `ok`, `wrong`, or `n/a`
where the bytes of the value are in nothing that was captured (cells.py says where it is looked for); what was looked
for is printed below the matrix, and evidence.py finds it, or not, in kept exports. A field of the matrix is wrong when it is so in one scenario; each wrong cell is listed with what was found. A count that nobody
sent must not be there either. Fields that no provider sends and none of these packages sets (delegations, tasks)
have no row. What a package sends as log records of a span, as OpenTelemetry's instrumentations did before release
1.37, is right where the store has these records, joined to their span.

None of these programs may speak with anyone beyond this machine: their own telemetry is off by their documented
switches, their vendors' addresses are ours, a guard in each process refuses every other host, and a test fails
when one was reached for.

Run it:      tools/build-peers dialects                     (four minutes; else the first run does it)
             python -m pytest tests/dialects [-k NAME]      (one minute; the matrix comes at the end, without -n)
Look at it:  DIALECTS_KEEP=FOLDER leaves the raw exports there, and seen.txt: each span's attributes, with
             + what the sidecar added, ~ changed, - took away. python tests/dialects/evidence.py FOLDER/NAME VALUE ...
             says where a value is in what was exported.
A new one:   python/NAME.txt (pip freeze of its environment) and python/senders/NAME.py, whose essay begins with the
             package's name; or node/senders/NAME.mjs, the package in node/package.json and in rig.NODE_PACKAGES.

The judge has tests of its own (test_cells.py): a store that says all is right, and any one change of it is wrong;
so have the guards (test_guards.py).
"""

import cells
import pytest
import rig

COMMON = {"chat", "tool", "tool-answer", "refused", "broken"}
SCENARIOS = COMMON | {"stream", "cached", "embed"}
OTHER_SCENARIOS = {  # Anthropic has no embeddings; the Agents SDK has none, and its run is not streamed
    **{name: COMMON | {"stream", "written"} for name in ("anthropic", "anthropic_sdk", "openinference_anthropic")},
    "openai_agents": COMMON | {"cached"},
}


@pytest.mark.parametrize("name", rig.senders())
def test_what_was_sent_is_what_is_stored(name):
    outcome = rig.run(name)
    assert outcome.code == 0, outcome.said
    assert outcome.outside == "", f"{name} reached for {outcome.outside}"
    assert outcome.faults == [] and outcome.refused == []
    assert {each.scenario for each in outcome.exchanges} == OTHER_SCENARIOS.get(name, SCENARIOS)
    rig.JUDGED[name] = outcome.cells
    wrong = cells.wrong(outcome.cells)
    assert not wrong, f"{name}: {len(wrong)} of {len(outcome.cells)} cells are wrong\n" + "\n".join(wrong)


def test_there_are_eight_packages_and_more():
    assert len(rig.senders()) >= 8
    assert all(rig.versions(name) for name in rig.senders())
