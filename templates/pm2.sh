# written by dp: what pm2 starts for one instance. It runs the app's script with nothing of pm2's environment, waits for
# its end, ends what it left behind, and tells pm2 how it ended: 200 is an end that calls for no restart.
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

asked=
trap 'asked=1' TERM INT HUP
sweep
# pm2 counts the restarts in this variable.
[ "${restart_time:-0}" = 0 ] || sleep {{delay}}
[ -z "$asked" ] || exit 200
env -i DP_INSTANCE="$marker" /bin/sh {{script}}
code=$?
sweep
case $code in
{{clean}}) exit 200 ;;
200) exit 1 ;;
esac
exit $code
