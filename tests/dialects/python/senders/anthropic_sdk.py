# SPDX-License-Identifier: Apache-2.0
"""anthropic, whose client makes spans of its own, with content: no instrumentation beside it. It is told the
conversation; it knows no user, and no spans of tools."""

import scenes

provider = scenes.setup_otel()
scenes.claude_scenes(scenes.claude_client(open_telemetry={
    "tracer_provider": provider, "traces": {"enabled": True, "content_mode": "content"},
    "conversation_id": scenes.FACTS["session"]}))
scenes.report()
