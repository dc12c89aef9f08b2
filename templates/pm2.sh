# written by dp: what pm2 starts for one instance. It runs the app's script with nothing of pm2's environment, puts the
# time before each line of its output, waits for its end, ends what it left behind, and tells pm2 how it ended: 200 is an
# end that calls for no restart, 199 an end with 0 that does.
PATH=/usr/local/bin:/usr/bin:/bin
umask 027
exec >>{{log}} 2>&1
marker={{marker}}

left() { grep -lszxF -e "DP_INSTANCE=$marker" /proc/[0-9]*/environ | tr -dc '0-9\n'; }

# Whatever it started, wherever that went: SIGTERM, and SIGKILL when the time is over.
sweep() {
    pids=$(left)
    [ -n "$pids" ] || return 0
    kill -s TERM $pids 2>/dev/null
    tries=0
    while [ $tries -lt {{tries}} ]; do
        sleep 0.1
        pids=$(left)
        [ -n "$pids" ] || return 0
        tries=$((tries + 1))
    done
    kill -s KILL $pids 2>/dev/null
}

# Where awk can tell the time. It ends with the line that says so, however long it took to get there, and by no signal that
# is meant for the app. A log that has grown to the limit is copied to FILE.1 and emptied: whoever else writes to it goes on
# with the same file.
stamper='trap "" TERM INT HUP
export TZ=UTC0 LC_ALL=C log="$1" rotate="cat \"\$log\" >\"\$log.1\"; : >\"\$log\""
stamp="{ print strftime(\"%Y-%m-%dT%H:%M:%S+00:00: \") \$0; fflush() }"
for awk in "awk -W interactive" awk cat; do
    case $(echo | $awk "$stamp" 2>&1) in 2???-*) break ;; esac
done
stamp="(at = index(\$0, ENVIRON[\"last\"])) { \$0 = substr(\$0, 1, at - 1) }
!at || length(\$0) $stamp
(size += length(\$0) + 28) >= {{limit}} { system(ENVIRON[\"rotate\"]); size = 0 }
at { exit }"
if [ "$awk" = cat ]; then
    while IFS= read -r line || [ -n "$line" ]; do
        case $line in *"$last") printf %s "${line%"$last"}" && break ;; esac
        printf "%s\n" "$line"
    done
    exit
fi
while :; do
    $awk -v size="$(wc -c <"$log")" "$stamp" && break
done'

# The app holds both ends of the pipe: its next print does not end it, whoever of us was killed.
open_pipe() {
    pipe={{log}}.pipe
    rm -f "$pipe"
    mkfifo -m 600 "$pipe" || return 1
    exec 3<>"$pipe" 4<"$pipe"
    rm -f "$pipe"
    last="$marker ended $$" /bin/sh -c "$stamper" stamper {{log}} <&4 2>/dev/null 3>&- 4<&- &
    stamping=$!
    exec 4<&-
}

# What was printed last is before this line; whatever else holds the pipe then is none of the app. It is not waited for
# without end: the disk may hang.
close_pipe() {
    echo "$marker ended $$" >&3 &
    telling=$!
    exec 3>&-
    (
        tries=0
        while [ $tries -lt 100 ]; do
            sleep 0.1
            tries=$((tries + 1))
        done
        kill -s KILL $stamping
    ) 2>/dev/null &
    late=$!
    wait $stamping || wait $stamping
    kill $late $telling 2>/dev/null
}

asked=
# pm2 asks by SIGINT; any other signal is somebody else's.
trap 'asked=asked' INT
trap : TERM HUP
sweep
# pm2 counts the restarts in this variable.
[ "${restart_time:-0}" = 0 ] || sleep {{delay}}
[ -z "$asked" ] || exit 200
open_pipe || exec 3>&1
env -i DP_INSTANCE="$marker" /bin/sh {{script}} >&3 2>&1 3>&-
code=$?
sweep
[ -z "${stamping-}" ] || close_pipe
case $asked.$code in
{{clean}}) exit 200 ;;
*.0) exit 199 ;;
*.199 | *.200) exit 1 ;;
esac
exit $code
