#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Build Waybill and test it. ./test.sh --help says how.
set -euo pipefail
cd "$(dirname "$0")"
for argument in "$@"; do
    case $argument in
        --help | -h | --list) exec python3 tools/run-tests "$@" ;;
        --no-setup) no_setup=1 ;;
    esac
done
if [ -z "${no_setup:-}" ]; then
    tools/setup-debian.sh
fi
exec build/venv/bin/python tools/run-tests "$@"
