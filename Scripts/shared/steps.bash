# Named and timed steps for the scripts beside this file, which source it. Needs bash; changes no setting but
# the traps of INT and TERM while `with_progress` waits.

# begin_step NAME WHAT: says on standard error what begins.
begin_step() {
    step_name="$1"
    step_began=$SECONDS
    printf '==> %s: %s\n' "$1" "$2" >&2
}

# end_step: says how long it took.
end_step() {
    printf '    %s: done in %d s\n' "$step_name" "$((SECONDS - step_began))" >&2
}

# with_progress COMMAND...: runs a long command. A terminal sees all that it prints; otherwise its latest line is shown
# every 15 seconds, and what it printed last if it fails. Returns the command's status.
with_progress() {
    if [ -t 2 ]; then
        "$@" >&2
        return
    fi
    local log process status=0 latest began=$SECONDS waited=0
    log="$(mktemp)"
    "$@" >"$log" 2>&1 </dev/null &
    process=$!
    # A process in the background does not hear Ctrl-C.
    trap 'kill "$process" 2>/dev/null; exit 130' INT TERM
    while kill -0 "$process" 2>/dev/null; do
        sleep 0.5
        waited=$((waited + 1))
        [ $((waited % 30)) = 0 ] || continue
        latest="$(tail -c 400 "$log" | tr '\r' '\n' | grep -v '^[[:space:]]*$' | tail -n 1 | cut -c 1-100 || true)"
        printf '    %d s: %s\n' "$((SECONDS - began))" "$latest" >&2
    done
    wait "$process" || status=$?
    trap - INT TERM
    [ "$status" = 0 ] || tail -n 60 "$log" >&2
    rm -f "$log"
    return "$status"
}

# usage_of SCRIPT: the comment at the top of a script is its help text.
usage_of() { sed -n '2,/^[^#]/{/^#/s/^# \{0,1\}//p}' "$1"; }
