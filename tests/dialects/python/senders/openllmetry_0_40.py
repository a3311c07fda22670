# SPDX-License-Identifier: Apache-2.0
"""traceloop-sdk and opentelemetry-instrumentation-openai as they were in June 2025: the names before the new ones,
messages flattened into keys with numbers. The program is that of today's release."""

import pathlib
import runpy

runpy.run_path(str(pathlib.Path(__file__).with_name("openllmetry.py")), run_name="__main__")
