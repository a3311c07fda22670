#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Install what building, testing and the demo need. Says what it will install before it does, and is
# silent when all is there. Debian 12 and systems like it; elsewhere it only says what is missing.
# With --packages, --peers, --docker also what those tiers of ./test.sh need.
set -euo pipefail
cd "$(dirname "$0")/.."

packages=(
    build-essential cmake ninja-build pkg-config python3 python3-venv ca-certificates curl git
    clang clang-format clang-tidy libclang-rt-14-dev llvm-14
    libsodium-dev libnng-dev libprotobuf-c-dev protobuf-c-compiler protobuf-compiler
    libcjson-dev libsqlite3-dev libyaml-dev libmicrohttpd-dev libcurl4-openssl-dev libcmocka-dev
    libpq-dev libdeflate-dev libnghttp2-dev libgnutls28-dev postgresql pgbouncer
    libseccomp-dev binutils util-linux locales sqlite3 man-db mandoc zsh systemd lintian
)
requirements=(tools/requirements.txt)
usage() {
    printf 'Usage: tools/setup-debian.sh [--packages] [--peers] [--docker]\n' >&2
    exit 2
}

# A package for a program that may have come another way, beside which the package would not do.
for_program() {
    command -v "$1" >/dev/null || packages+=("$2")
}

for option in "$@"; do
    case $option in
    --packages)
        packages+=(debootstrap)
        requirements+=(tools/requirements-packages.txt)
        ;;
    --peers) # tools/build-peers does the rest
        for_program go golang-go
        for_program node nodejs
        for_program npm npm
        ;;
    --docker)
        packages+=(docker.io docker-compose debootstrap)
        for_program go golang-go
        ;;
    *) usage ;;
    esac
done
venv=build/venv

say() { printf '%s\n' "$*" >&2; }

missing_packages() {
    dpkg-query -W -f '${db:Status-Status} ${Package}\n' "${packages[@]}" 2>/dev/null \
        | sed -n 's/^installed //p' | sort >"$present" || true
    printf '%s\n' "${packages[@]}" | sort | comm -23 - "$present"
}

# Where packages have other names: look for the things themselves.
missing_things() {
    local thing
    for thing in gcc cmake ninja pkg-config python3 clang clang-format clang-tidy protoc protoc-c llvm-cov sqlite3 man mandoc zsh; do
        command -v $thing >/dev/null || printf '%s\n' "program $thing"
    done
    command -v pkg-config >/dev/null || return 0
    for thing in libsodium libprotobuf-c libcjson sqlite3 yaml-0.1 libmicrohttpd libcurl libpq libdeflate libnghttp2 gnutls cmocka; do
        pkg-config --exists $thing || printf '%s\n' "library $thing"
    done
    printf '#include <nng/nng.h>\n' | cc -E - >/dev/null 2>&1 || printf '%s\n' "library nng"
}

refuse_other_system() {
    say "This is no Debian (no apt-get, dpkg-query), so nothing is installed here. Missing:"
    say "$1"
    say "On Debian 12 the packages are: ${packages[*]} (libnng is 1.5.2)"
    exit 1
}

install_packages() {
    local root=()
    if [ "$(id -u)" != 0 ]; then
        if ! command -v sudo >/dev/null; then
            say "Not root, and no sudo. Please have these packages installed: $*"
            exit 1
        fi
        root=(sudo)
    fi
    say "setup: installing the packages $*"
    "${root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get update -qq
    "${root[@]}" env DEBIAN_FRONTEND=noninteractive \
        apt-get install -y -qq --no-install-recommends "$@" >/dev/null
}

# A list is installed when its line of the marker holds its hash and that of the interpreter. When the
# first one changes, the environment is made anew; the others are added to it.
make_venv() {
    local list wanted
    for list in "${requirements[@]}"; do
        wanted="$list $({ python3 --version; cat "$list"; } | sha256sum | cut -d' ' -f1)"
        if grep -qxF "$wanted" $venv/.complete 2>/dev/null; then
            continue
        fi
        say "setup: installing the Python packages of $list in $venv"
        if [ "$list" = "${requirements[0]}" ]; then
            rm -rf $venv
            python3 -m venv $venv
        fi
        $venv/bin/pip install --quiet --disable-pip-version-check -r "$list"
        printf '%s\n' "$wanted" >>$venv/.complete
    done
}

# Prometheus and its checker, promtool, beside the Python programs: for tests. Out of their package, which is not
# installed: that would start a server.
get_prometheus() {
    local folder program
    for program in prometheus promtool; do
        if [ ! -x $venv/bin/$program ] && command -v $program >/dev/null; then
            ln -s "$(command -v $program)" $venv/bin/$program
        fi
    done
    if [ -x $venv/bin/prometheus ] && [ -x $venv/bin/promtool ]; then
        return
    fi
    if ! command -v apt-get >/dev/null || ! command -v dpkg-deb >/dev/null; then
        say "setup: no prometheus and promtool in PATH: tests/integration/test_metrics*.py want them"
        return
    fi
    say "setup: taking prometheus and promtool out of the package prometheus"
    folder=$(mktemp -d)
    if ! (cd "$folder" && apt-get download -q=2 prometheus >/dev/null 2>&1) &&
        ! (apt-get update -qq && cd "$folder" && apt-get download -q=2 prometheus >/dev/null); then
        say "setup: the package prometheus cannot be had"
        rm -rf "$folder"
        exit 1
    fi
    for program in prometheus promtool; do
        dpkg-deb --fsys-tarfile "$folder"/prometheus_*.deb | tar -xO ./usr/bin/$program >"$folder/$program"
        install -m 755 "$folder/$program" $venv/bin/$program
    done
    rm -rf "$folder"
}

if command -v apt-get >/dev/null && command -v dpkg-query >/dev/null; then
    present=$(mktemp)
    trap 'rm -f "$present"' EXIT
    mapfile -t missing < <(missing_packages)
    if [ ${#missing[@]} -gt 0 ]; then
        install_packages "${missing[@]}"
    fi
else
    missing=$(missing_things)
    if [ -n "$missing" ]; then
        refuse_other_system "$missing"
    fi
fi
mkdir -p build
make_venv
get_prometheus
