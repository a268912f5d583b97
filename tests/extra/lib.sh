# Sourced by the programs beside it. What several of them need: psql, answers that are compared, clusters of their own.
# shellcheck shell=bash

set -euo pipefail
ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
HERE=$ROOT/tests/extra
export PGUSER=${PGUSER:-postgres}

fail() {
    printf '%s\n' "$*" >&2
    exit 1
}

# skip REASON: neither passed nor failed; scripts/test says so aloud, with the last line of what was printed.
skip() {
    printf '%s\n' "$*"
    exit 77
}

# run DATABASE [ARGUMENT…]: psql in the cluster of the test run; the first error ends it.
run() { psql -XqAt -v ON_ERROR_STOP=1 -d "$@"; }

# at PURPOSE [ARGUMENT…]: the same in a cluster of own_clusters.
at() {
    local purpose=$1
    shift
    PGHOST=${SOCKET[$purpose]} PGPORT=${PORT[$purpose]} psql -XqAt -v ON_ERROR_STOP=1 "$@"
}

declare -A SOCKET=() PORT=()
# own_cluster PURPOSE [PRIMARY]: a new cluster, or a new standby of PRIMARY, that ends with the program.
own_cluster() {
    local purpose=$1 primary=${2:-}
    "$ROOT/scripts/cluster" destroy "$purpose" >/dev/null
    SOCKET[$purpose]=
    trap destroy_own_clusters EXIT
    if [ -z "$primary" ]; then
        "$ROOT/scripts/cluster" start "$purpose"
    else
        "$ROOT/scripts/cluster" standby "$purpose" "$primary"
    fi
    connect_to "$purpose"
}
connect_to() {
    local connection
    connection=$(eval "$("$ROOT/scripts/cluster" env "$1")" && echo "$PGHOST $PGPORT")
    SOCKET[$1]=${connection% *} PORT[$1]=${connection##* }
}
destroy_own_clusters() {
    local purpose status=$?
    for purpose in "${!SOCKET[@]}"; do
        if [ "$status" != 0 ]; then "$ROOT/scripts/cluster" log "$purpose" || true; fi
        "$ROOT/scripts/cluster" destroy "$purpose" || true
    done
}

# same WHAT EXPECTED ACTUAL: fails with the difference.
same() {
    if [ "$2" = "$3" ]; then return; fi
    { diff <(printf '%s\n' "$2") <(printf '%s\n' "$3") || true; } | head -n 60
    fail "$1: differs, as shown above"
}

# nothing NAME COMMAND…: the command succeeds and prints nothing. An empty answer of a command that failed is no answer.
nothing() {
    local name=$1 answer
    shift
    answer=$("$@") || fail "$name: it failed: $*"
    same "$name" '' "$answer"
}

# until_true PURPOSE QUERY [ARGUMENT…]: waits until the query answers t, twenty seconds at most.
until_true() {
    local purpose=$1 query=$2 attempt
    shift 2
    for attempt in {1..400}; do
        if [ "$(at "$purpose" "$@" -c "$query")" = t ]; then return; fi
        sleep 0.05
    done
    fail "$purpose: never became true (tried $attempt times): $query"
}

# The whole contents and behaviour of a database of filled_database.sql, as text.
answers() { psql -XqAt -v ON_ERROR_STOP=1 -f "$HERE/answers.sql" "$@"; }

# open_session PURPOSE DATABASE: one psql that stays; ask SQL sends it statements and prints what comes back. Not in a
# pipeline: bash closes the ends of a coprocess there.
open_session() {
    coproc SESSION { PGHOST=${SOCKET[$1]} PGPORT=${PORT[$1]} exec psql -XqAt -d "$2" 2>&1; }
}
# close_session: before another is opened.
close_session() {
    local psql=$SESSION_PID
    printf '\\q\n' >&"${SESSION[1]}"
    wait "$psql" || true
}
ask() {
    local line
    printf '%s\n\\echo end of answer\n' "$1" >&"${SESSION[1]}"
    while IFS= read -r -t 30 line <&"${SESSION[0]}"; do
        if [ "$line" = 'end of answer' ]; then return; fi
        printf '%s\n' "$line"
    done
    fail "no answer to: $1"
}
