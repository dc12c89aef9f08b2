#!/bin/sh
# written by dp: deploys {{app}} after the push when config.yml says "gate: false". dp setup writes it anew.
unset BUN_OPTIONS BUN_BE_BUN
# Git starts its hooks there.
repo=$(cd "${GIT_DIR:-.}" && pwd -P) || exit 1
# Noted by update, which has read config.yml.
[ -e "$repo/dp-owed" ] || exit 0
# dp never runs in a folder that somebody pushed.
cd / || exit 1
{{environment}}[ -x {{program}} ] || {
    echo "dp is not installed on this server any more: run its install.sh, then push again" >&2
    exit 1
}
export DP_RECEIVER=$PPID
{{dp}} hook post-receive "$repo"
code=$?
case $code in ? | 130 | 143) exit $code ;; esac
# It does the deploy by itself, in a session of its own: nobody else is left to tell that it was killed.
{{dp}} hook killed "$repo"
