#!/bin/sh
# A Docker engine of its own, until stdin ends; then nothing is left of it. Usage: engine.sh FOLDER BRIDGE SUBNET NAME
# It reads words from stdin: stop, cut, start; and answers each with a line.
set -eu
folder=$1 bridge=$2 subnet=$3 name=$4
PATH=$PATH:/usr/sbin:/sbin
export DOCKER_HOST="unix://$folder/docker.sock"
daemon=
# shellcheck source=test/support/engine-keeper.sh
. "$(dirname "$0")/engine-keeper.sh"

# No iptables: two engines of one machine would fight over the same chains. Published ports go through docker-proxy.
start() {
    # What a power cut has left of the last one.
    rm -rf "$folder/exec" "$folder/docker.pid"
    nsenter "--mount=/proc/$holder/ns/mnt" dockerd --config-file "$folder/daemon.json" --data-root "$folder/data" \
        --exec-root "$folder/exec" --pidfile "$folder/docker.pid" --host "$DOCKER_HOST" --bridge "$bridge" \
        --iptables=false --ip6tables=false --ip-masq=false --ip-forward=false --cgroup-parent "/$name" \
        </dev/null >>"$folder/dockerd.log" 2>&1 &
    daemon=$!
    tries=0
    until docker info >/dev/null 2>&1; do
        tries=$((tries + 1))
        if [ "$tries" -gt 600 ] || ! kill -0 "$daemon" 2>/dev/null; then
            tail -n 20 "$folder/dockerd.log"
            return 1
        fi
        sleep 0.1
    done
}

halt() {
    kill -TERM "$daemon"
    wait "$daemon" || :
}

groups() {
    for group in /sys/fs/cgroup/*/"$name" /sys/fs/cgroup/"$name"; do
        [ ! -d "$group" ] || find "$group" -depth -type d 2>/dev/null || :
    done
}

# Whatever has the folder's name in its arguments, dockerd's own containerd and its shims too, or is in its groups.
rest() {
    members
    # The pattern by stdin: grep would find itself.
    echo "$folder/" | grep -lsF -f /dev/stdin /proc/[0-9]*/cmdline | cut -d/ -f3 || :
}

# Every mount is in a namespace of its own, held by this process, and gone with the last one in it.
hold() {
    unshare --mount --propagation private tail -f "$folder/daemon.json" >/dev/null 2>&1 </dev/null &
    holder=$!
    until [ "$(readlink "/proc/$holder/ns/mnt")" != "$(readlink /proc/self/ns/mnt)" ]; do sleep 0.02; done
}

leave() { ip link del "$bridge" 2>/dev/null || :; }

ip link add "$bridge" type bridge
ip addr add "$subnet" dev "$bridge"
ip link set "$bridge" up
keep
