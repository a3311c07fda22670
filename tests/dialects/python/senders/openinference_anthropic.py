# SPDX-License-Identifier: Apache-2.0
"""openinference-instrumentation-anthropic, with the session and the user of openinference-instrumentation."""

import contextlib

from openinference.instrumentation import using_session, using_user
from openinference.instrumentation.anthropic import AnthropicInstrumentor

import scenes

AnthropicInstrumentor().instrument(tracer_provider=scenes.setup_otel())


@contextlib.contextmanager
def around(_scene):
    with using_session(scenes.FACTS["session"]), using_user(scenes.FACTS["user"]):
        yield


scenes.claude_scenes(scenes.claude_client(), around)
scenes.report()
