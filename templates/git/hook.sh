#!/bin/sh
# written by dp: every hook of a push that dp serves. It passes on what git says to dp, by descriptors that only this
# push has: 3 asks, 4 answers, 5 is the output of a deploy. It runs as git's user, and decides nothing.
hook=${0##*/}
# A push past dp would be stored and never deployed.
if [ "${DP_SERVES-}" != 1 ]; then
    echo "dp: pushes to this repository go through dp: git push --receive-pack={{commands}}/git-receive-pack ..." >&2
    exit 1
fi
{
    echo "$hook"
    case $hook in
        update) printf 'ref %s %s %s\n' "$2" "$3" "$1" ;;
        *)
            at=0
            while [ "$at" -lt "${GIT_PUSH_OPTION_COUNT:-0}" ]; do
                eval "printf 'option %s\\n' \"\$GIT_PUSH_OPTION_$at\""
                at=$((at + 1))
            done
            while read -r old new ref; do printf 'ref %s %s %s\n' "$old" "$new" "$ref"; done
            ;;
    esac
    echo end
} >&3
while IFS= read -r line <&4; do
    case $line in
        "say "*) printf '%s\n' "${line#say }" ;;
        follow) cat <&5 ;;
        "exit "*) exit "${line#exit }" ;;
    esac
done
echo "dp: the process of the deploy was killed; to finish or undo it: dp resume ${DP_APP-APP}" >&2
exit 143
