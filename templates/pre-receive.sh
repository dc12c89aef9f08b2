#!/bin/sh
# written by dp: keeps refs and options of a push to {{app}} for update, which git starts without them. dp setup writes it anew.
unset BUN_OPTIONS BUN_BE_BUN
# Git starts its hooks there.
repo=$(cd "${GIT_DIR:-.}" && pwd -P) || exit 1
# Which refs the push moves: update is started for one at a time, and git may move all of them or none.
umask 077
mkdir -p "$repo/dp-pushes" || exit 1
cat >"$repo/dp-pushes/$PPID" || exit 1
# Most pushes have none, and need no dp. What an earlier push noted may lie under the same number.
if [ "${GIT_PUSH_OPTION_COUNT:-0}" = 0 ]; then
    exec rm -f "$repo/dp-push-options/$PPID"
fi
# dp never runs in a folder that somebody pushed.
cd / || exit 1
{{environment}}[ -x {{program}} ] || {
    echo "dp is not installed on this server any more: run its install.sh, then push again" >&2
    exit 1
}
exec {{dp}} hook pre-receive "$repo"
