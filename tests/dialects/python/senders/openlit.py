# SPDX-License-Identifier: Apache-2.0
"""openlit: its instrumentation of OpenAI's client, with prices from a file of our own, so that it fetches none.
User, session and the agent's version are what its contexts are for; an agent's name goes to its metrics."""

import contextlib
import json
import pathlib
import tempfile

import scenes

prices = pathlib.Path(tempfile.mkdtemp()) / "prices.json"
prices.write_text(json.dumps({"chat": {scenes.ASKED["chat"]: {"promptPrice": 0.002, "completionPrice": 0.004}},
                              "embeddings": {scenes.ASKED["embedding"]: 0.001}}))

import openlit

openlit.init(application_name="harbour", otlp_endpoint=scenes.OTLP, disable_batch=True, disable_metrics=True,
             pricing_json=str(prices))


@contextlib.contextmanager
def around(_scene):
    with openlit.using_attributes({"user.id": scenes.FACTS["user"], "session.id": scenes.FACTS["session"]}):
        with openlit.agent_context(scenes.FACTS["agent"]), openlit.agent_version_context(scenes.FACTS["agent_version"]):
            yield


scenes.openai_scenes(scenes.client(), around)
scenes.report()
