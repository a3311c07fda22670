#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Real A2A agents, each with its own sidecar and key: one signed and verified trace. --help for options.
set -euo pipefail
cd "$(dirname "$0")"
case " $* " in
*" --jaeger "*) tools/setup-debian.sh --peers ;;
*) tools/setup-debian.sh ;;
esac
if [ -z "${WAYBILL_BIN_DIR:-}" ]; then
    log=build/demo-build.log
    if ! { cmake --preset release && cmake --build --preset release; } >$log 2>&1; then
        tail -n 30 $log >&2
        exit 1
    fi
    export WAYBILL_BIN_DIR=$PWD/build/release/bin
fi
exec build/venv/bin/python examples/demo/run.py "$@"
