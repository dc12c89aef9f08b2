#!/bin/sh
# written by dp: the gate of {{app}}. A failed deploy rejects the push. dp setup writes it anew.
unset BUN_OPTIONS BUN_BE_BUN
# Git starts its hooks there.
repo=$(cd "${GIT_DIR:-.}" && pwd -P) || exit 1
# dp never runs in a folder that somebody pushed.
cd / || exit 1
{{environment}}[ -x {{program}} ] || {
    echo "dp is not installed on this server any more: run its install.sh, then push again" >&2
    exit 1
}
export DP_RECEIVER=$PPID
{{dp}} hook update "$repo" "$@"
code=$?
# Git moves the branch when this has ended, and when its client has read all that was said, however long that takes.
# When it does not move it, after all, what was deployed goes back.
watch='while [ "$(cat "/proc/$1/comm" 2>/dev/null)" = "$2" ]; do sleep 0.2; done
repo=$3 ref=$4 sha=$5
shift 5
[ "$(git --git-dir "$repo" rev-parse --verify --quiet "$ref")" = "$sha" ] || exec "$@" hook refused "$repo" "$ref" "$sha"'
deployed=$repo/dp-pushes/$PPID.deployed
if [ $code = 0 ] && [ -e "$deployed" ]; then
    rm -f "$deployed"
    git=$(cat "/proc/$PPID/comm")
    /bin/sh -c "$watch" dp-branch "$PPID" "$git" "$repo" "$1" "$3" {{dp}} </dev/null >/dev/null 2>&1 &
    exit 0
fi
case $code in ? | 130 | 143) exit $code ;; esac
# It does the deploy by itself, in a session of its own: nobody else is left to tell that it was killed.
{{dp}} hook killed "$repo" "$3"
