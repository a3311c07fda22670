# SPDX-License-Identifier: Apache-2.0
"""The same files with compose 2, which Debian 12 does not have: the stack comes up and has the same tree."""

from peers import peer
from stack import AGENTS, brought_up, is_marker
from waybill_testkit import wait_until


def test_the_stack_comes_up_and_both_stores_have_the_tree(engine):
    with brought_up(engine, str(peer("compose2"))) as stack:
        for agent in AGENTS:
            wait_until(lambda: stack.health(f"{agent}-waybill") == "healthy", 60, f"{agent}-waybill: healthy")
        trace_id = stack.report_trace()
        rows = stack.rows("SELECT encode(span_id, 'hex') AS id FROM waybill.spans"
                          f" WHERE trace_id = decode('{trace_id}', 'hex')")
        assert len(rows) > 20

        def of_jaeger():
            return sorted(span["spanID"] for span in stack.spans_in_jaeger(trace_id) if not is_marker(span))

        wait_until(lambda: len(of_jaeger()) >= len(rows), 30, "Jaeger: all spans")
        assert of_jaeger() == sorted(row["id"] for row in rows)
        verdicts = stack.rows("SELECT verdict, verified FROM waybill.acceptances"
                              f" WHERE trace_id = decode('{trace_id}', 'hex')")
        assert verdicts == [{"verdict": "continue", "verified": True}] * 3
