#!/bin/sh
# written by dp: deploys {{app}} after the push when config.yml says "gate: false". dp setup writes it anew.
unset BUN_OPTIONS BUN_BE_BUN
# Git starts its hooks there.
repo=$(cd "${GIT_DIR:-.}" && pwd -P) || exit 1
# Noted by update, which has read config.yml.
rm "$repo/dp-push-options/$PPID.ungated" 2>/dev/null || exit 0
# dp never runs in a folder that somebody pushed.
cd / || exit 1
{{environment}}exec {{dp}} hook post-receive "$repo"
