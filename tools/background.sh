# shellcheck shell=bash
# SPDX-License-Identifier: MIT
# Long work with a sign of life: on a terminal one line that is rewritten now and then, in a pipe
# nothing. Sourced by ./run, ./test and ./bench.

background_pid=

# An interrupted script takes the work it waits for with it.
stop_background() {
    local pid=$background_pid
    background_pid=
    [[ -z $pid ]] || kill -TERM -- "-$pid" 2>/dev/null || true
}
trap 'stop_background; trap - INT; kill -INT $$' INT
trap 'stop_background; exit 143' TERM HUP

# show_progress TEXT: rewrites the progress line; no text clears it. On a terminal only.
show_progress() {
    [[ -t 2 ]] || return 0
    local width
    width=$(tput cols 2>/dev/null || echo 80)
    printf '\r\033[K%.*s' "$((width - 1))" "${1:-}" >&2
}

# in_background LABEL LOG COMMAND...: runs it with its output in LOG; returns its exit status.
in_background() {
    local label=$1 log=$2 began=$SECONDS status=0
    shift 2
    # Its own process group, so that it can be stopped with everything it started.
    set -m
    "$@" >"$log" 2>&1 </dev/null &
    background_pid=$!
    set +m
    if [[ -t 2 ]]; then
        while kill -0 "$background_pid" 2>/dev/null; do
            show_progress "$label  $((SECONDS - began)) s  $(tail -c 300 "$log" | tr -d '\r' | tail -n 1)"
            sleep 0.2
        done
        show_progress
    fi
    wait "$background_pid" || status=$?
    background_pid=
    return "$status"
}
