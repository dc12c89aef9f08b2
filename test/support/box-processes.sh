#!/bin/sh
# Every process of a box, found by its control groups. Usage: box-processes.sh FOLDER list|kill|remove
# list prints them; kill ends all of them at once, as a power cut does; remove also removes the groups and the folder.
set -eu
folder=$1 what=$2

processes() {
    # A process that this namespace cannot see is listed as 0, and kill(0) would end the caller.
    while read -r group; do
        [ ! -d "$group" ] || find "$group" -name cgroup.procs -exec cat {} + 2>/dev/null || :
    done <"$folder/cgroups" | grep -Ev '^[01]$' || :
}

[ -f "$folder/cgroups" ] || exit 0
if [ "$what" = list ]; then
    processes
    exit 0
fi
rounds=0
while pids=$(processes) && [ -n "$pids" ]; do
    rounds=$((rounds + 1))
    [ "$rounds" -le 200 ] || { echo "box $folder does not end: $pids" >&2; exit 1; }
    # shellcheck disable=SC2086
    kill -KILL $pids 2>/dev/null || :
    sleep 0.05
done
[ "$what" = remove ] || exit 0

while read -r group; do
    [ ! -d "$group" ] || find "$group" -depth -type d -exec rmdir {} + 2>/dev/null || :
done <"$folder/cgroups"
rm -rf "$folder"
