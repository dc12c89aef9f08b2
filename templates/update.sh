#!/bin/sh
# written by dp: the gate of {{app}}. A failed deploy rejects the push. dp setup writes it anew.
unset BUN_OPTIONS BUN_BE_BUN
# Git starts its hooks there.
repo=$(cd "${GIT_DIR:-.}" && pwd -P) || exit 1
# dp never runs in a folder that somebody pushed.
cd / || exit 1
{{environment}}[ -x {{bun}} ] || {
    echo "dp is not installed on this server any more: run its install.sh, then push again" >&2
    exit 1
}
export DP_RECEIVER=$PPID
{{dp}} hook update "$repo" "$@"
code=$?
# Git moves the branch when this has ended. When it does not, after all, what was deployed goes back.
deployed=$repo/dp-pushes/$PPID.deployed
if [ $code = 0 ] && [ -e "$deployed" ]; then
    rm -f "$deployed"
    (
        tries=0
        while kill -0 "$PPID" 2>/dev/null && [ $tries -lt 600 ]; do
            sleep 0.1
            tries=$((tries + 1))
        done
        [ "$(git --git-dir "$repo" rev-parse --verify --quiet "$1")" = "$3" ] || {{dp}} hook refused "$repo" "$1" "$3"
    ) </dev/null >/dev/null 2>&1 &
    exit 0
fi
case $code in ? | 130 | 143) exit $code ;; esac
# It does the deploy by itself, in a session of its own: nobody else is left to tell that it was killed.
{{dp}} hook killed "$repo" "$3"
