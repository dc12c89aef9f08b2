#!/bin/sh
# written by dp: the gate of {{app}}. A failed deploy rejects the push. dp setup writes it anew.
unset BUN_OPTIONS BUN_BE_BUN
# Git starts its hooks there.
repo=$(cd "${GIT_DIR:-.}" && pwd -P) || exit 1
# dp never runs in a folder that somebody pushed.
cd / || exit 1
{{environment}}exec {{dp}} hook update "$repo" "$@"
