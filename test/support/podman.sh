#!/bin/sh
# Podman with images, containers and a /run of its own, until stdin ends; then nothing is left of it. Usage: podman.sh FOLDER
# It reads words from stdin: cut, start; and answers each with a line.
set -eu
folder=$1
PATH=$PATH:/usr/sbin:/sbin
export CONTAINERS_CONF="$folder/containers.conf" CONTAINERS_STORAGE_CONF="$folder/storage.conf"
# shellcheck source=test/support/engine-keeper.sh
. "$(dirname "$0")/engine-keeper.sh"

# Every mount is in a namespace, held by one process. /run and /dev/shm, where podman keeps its state, are empty in it, as
# after a boot.
hold() {
    rm -f "$folder/holder"
    # shellcheck disable=SC2016
    unshare --mount --propagation private sh -c '
        resolv=$(readlink -f /etc/resolv.conf)
        cat "$resolv" >"$1/resolv.conf" 2>/dev/null || :
        mount -t tmpfs tmpfs /run
        mount -t tmpfs tmpfs /dev/shm
        [ -e "$resolv" ] || { mkdir -p "${resolv%/*}" && cp "$1/resolv.conf" "$resolv"; }
        echo $$ >"$1/holder.new" && mv "$1/holder.new" "$1/holder"
        exec sleep infinity' sh "$folder" </dev/null >/dev/null 2>&1 &
    until [ -e "$folder/holder" ]; do sleep 0.02; done
    mounts=$(readlink "/proc/$(cat "$folder/holder")/ns/mnt")
}

groups() {
    for container in "$folder"/storage/*-containers/*/; do
        id=$(basename "$container")
        find /sys/fs/cgroup/libpod_parent /sys/fs/cgroup/*/libpod_parent -depth -type d \
            -path "*libpod_parent/*$id*" 2>/dev/null || :
    done
}

# Whatever is in the namespace, the one process that holds it too, and in the groups of the containers.
rest() {
    members
    find /proc/[0-9]*/ns/mnt -maxdepth 0 -lname "$(echo "$mounts" | sed 's/[][]/\\&/g')" 2>/dev/null | cut -d/ -f3 || :
}

# There is no daemon.
start() { :; }
halt() { :; }
leave() { :; }

keep
