#!/bin/sh
# written by dp: keeps the push options of {{app}} for update, which git starts without them. dp setup writes it anew.
unset BUN_OPTIONS BUN_BE_BUN
repo=$(git rev-parse --absolute-git-dir) || exit 1
# dp never runs in a folder that somebody pushed.
cd / || exit 1
{{environment}}exec {{dp}} hook pre-receive "$repo"
