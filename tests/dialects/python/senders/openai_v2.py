# SPDX-License-Identifier: Apache-2.0
"""opentelemetry-instrumentation-openai-v2 as it comes: the names of release 1.30, content as events in logs.
It documents no session and no user, and knows no spans of tools."""

import os

os.environ["OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT"] = "true"

from opentelemetry.instrumentation.openai_v2 import OpenAIInstrumentor

import scenes

scenes.setup_otel(logs=True)
OpenAIInstrumentor().instrument()
scenes.openai_scenes(scenes.client())
scenes.report()
