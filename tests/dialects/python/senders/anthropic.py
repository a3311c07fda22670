# SPDX-License-Identifier: Apache-2.0
"""opentelemetry-instrumentation-anthropic (OpenLLMetry's) alone: Anthropic counts what its cache reads and writes
apart from the input. Session and user belong to traceloop-sdk, which is another sender's."""

from opentelemetry.instrumentation.anthropic import AnthropicInstrumentor

import scenes

scenes.setup_otel()
AnthropicInstrumentor().instrument()
scenes.claude_scenes(scenes.claude_client())
scenes.report()
