#!/bin/sh
# How an engine is held until stdin ends, and then nothing is left of it: engine.sh and podman.sh read this in.
# They set $folder and say what differs: hold, start, halt, rest, groups, leave.

# Everything ends at once, as in a power cut.
end_all() {
    rounds=0
    while pids=$(rest) && [ -n "$pids" ] && [ "$rounds" -lt 200 ]; do
        rounds=$((rounds + 1))
        # shellcheck disable=SC2086
        kill -KILL $pids 2>/dev/null || :
        sleep 0.05
    done
    groups | while read -r group; do rmdir "$group" 2>/dev/null || :; done
}

members() {
    groups | while read -r group; do cat "$group/cgroup.procs" 2>/dev/null || :; done | grep -v '^0$' || :
}

cleanup() {
    trap '' INT TERM HUP
    end_all
    leave
    rm -rf "${folder:?}"
}
trap cleanup EXIT

# Reads words from stdin: stop, cut, start; and answers each with a line.
keep() {
    hold
    start
    echo "done started"
    while read -r word; do
        case $word in
            stop) halt ;;
            cut)
                end_all
                hold
                ;;
            start) start ;;
        esac
        echo "done $word"
    done
}
