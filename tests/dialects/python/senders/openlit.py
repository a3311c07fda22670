# SPDX-License-Identifier: Apache-2.0
"""openlit: its instrumentation of OpenAI's client alone, with prices from a file of our own, so that it fetches
none."""

import json
import os
import pathlib
import tempfile

import scenes

prices = pathlib.Path(tempfile.mkdtemp()) / "prices.json"
prices.write_text(json.dumps({"chat": {scenes.ASKED["chat"]: {"promptPrice": 0.002, "completionPrice": 0.004}},
                              "embeddings": {scenes.ASKED["embedding"]: 0.001}}))

import openlit

openlit.init(application_name="harbour", otlp_endpoint=scenes.OTLP, disable_batch=True, disable_metrics=True,
             pricing_json=str(prices))

scenes.openai_scenes(scenes.client())
scenes.report()
