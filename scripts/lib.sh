# Sourced by the scripts beside it, which run from the top of the checkout after this.
# shellcheck shell=bash

set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
ROOT=$PWD

# Nested scripts (test calls setup calls …) count their seconds from the first one's start.
export VI_STARTED=${VI_STARTED:-$(date +%s)}
elapsed() { echo $(($(date +%s) - VI_STARTED)); }
say() { printf '[%4d s] %s\n' "$(elapsed)" "$*"; }
warn() { printf '[%4d s] %s\n' "$(elapsed)" "$*" >&2; }
die() {
    warn "$*"
    exit 1
}

PG_CONFIG=${PG_CONFIG:-/usr/lib/postgresql/15/bin/pg_config}
export PG_CONFIG
pg_major() { "$PG_CONFIG" --version | sed -E 's/^PostgreSQL ([0-9]+).*/\1/'; }

# cargo-pgrx and its configuration belong to this checkout: whatever ~/.pgrx holds stays untouched.
# shellcheck disable=SC2034 # setup's
PGRX_VERSION=$(sed -nE 's/^pgrx *=.*"=([0-9.]+)".*/\1/p' Cargo.toml)
export PGRX_HOME=$ROOT/target/pgrx
export PATH=$ROOT/target/tools/bin:$PATH
cargo_pgrx_version() { cargo pgrx --version 2>/dev/null | sed -nE 's/^cargo-pgrx ([0-9.]+).*/\1/p'; }

as_root() {
    if [ "$(id -u)" = 0 ]; then
        "$@"
    elif command -v sudo >/dev/null; then
        sudo "$@"
    else
        die "this needs root, and there is no sudo: $*"
    fi
}

# quietly LOG COMMAND… runs the command with its output in LOG, says every 20 seconds that it is still
# at work, and shows the end of LOG if it fails; QUIETLY_EXPECTS is an exit status that is no failure.
quietly() {
    local log=$1 heartbeat status=0
    shift
    mkdir -p "$(dirname "$log")"
    : >"$log"
    # Descriptor 9 is the lock of scripts/test: nothing that may stay behind holds it. The output of
    # `sleep` goes nowhere, so that a killed heartbeat leaves nothing that holds ours.
    (
        while sleep 20 >/dev/null 2>&1 && kill -0 $$ 2>/dev/null; do
            say "    … $(tail -n 1 "$log" | tr -d '\r' | sed -E 's/^ +//' | cut -c1-90)"
        done
    ) 9>&- &
    heartbeat=$!
    "$@" >"$log" 2>&1 9>&- || status=$?
    kill "$heartbeat" 2>/dev/null || true
    wait "$heartbeat" 2>/dev/null || true
    if [ "$status" != 0 ] && [ "$status" != "${QUIETLY_EXPECTS:-0}" ]; then
        warn "failed with exit status $status: $*"
        tail -n "${QUIETLY_LINES:-60}" "$log" >&2
        warn "the whole output is in ${log#"$ROOT"/}"
    fi
    return "$status"
}
