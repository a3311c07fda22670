# SPDX-License-Identifier: Apache-2.0
"""langfuse: its wrapper of OpenAI's client, its decorators, its exporter. It has no words for a workflow."""

import contextlib
import os

import scenes

os.environ.update(LANGFUSE_PUBLIC_KEY="pk-lf-none", LANGFUSE_SECRET_KEY="sk-lf-none", LANGFUSE_BASE_URL=scenes.OTLP)

from langfuse import get_client, observe, propagate_attributes
from langfuse.openai import OpenAI

langfuse = get_client()


@contextlib.contextmanager
def around(scene):
    with langfuse.start_as_current_observation(name=scenes.FACTS["agent"], as_type="agent") as span:
        with propagate_attributes(session_id=scenes.FACTS["session"], user_id=scenes.FACTS["user"]):
            span.update(input=scenes.SCENES[scene]["prompt"])
            yield


@observe(as_type="tool")
def lookup_tide(harbour: str) -> str:
    return scenes.lookup_tide(harbour)


scenes.openai_scenes(scenes.client(OpenAI), around, scenes.calling(lookup_tide))
langfuse.flush()
scenes.report()
