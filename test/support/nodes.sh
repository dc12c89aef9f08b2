#!/bin/sh
# Machines with a Docker engine each, in network namespaces on one bridge, until stdin ends; then nothing is left of them.
# Usage: nodes.sh FOLDER COUNT NAME. Reads "cut N" and "start N" from stdin, and answers each with a line.
set -eu
folder=$1 count=$2 name=$3
PATH=$PATH:/usr/sbin:/sbin

# Holds the namespaces of a machine; its arguments tell which. N is 0 for the bridge between them.
hold() {
    mkdir -p "$folder/n$1/etc" "$folder/n$1/run"
    [ -e "$folder/n$1/daemon.json" ] || echo '{}' >"$folder/n$1/daemon.json"
    unshare --net --uts --mount --propagation private tail -f "$folder/n$1/daemon.json" >/dev/null 2>&1 </dev/null &
    echo $! >"$folder/n$1/holder"
    until [ "$(readlink "/proc/$!/ns/mnt")" != "$(readlink /proc/self/ns/mnt)" ]; do sleep 0.02; done
}

holder() { cat "$folder/n$1/holder"; }

# Runs a command on a machine. Not `ip netns exec`: that mounts a /sys without cgroups.
on() {
    pid=$(holder "$1")
    shift
    nsenter "--net=/proc/$pid/ns/net" "--uts=/proc/$pid/ns/uts" "--mount=/proc/$pid/ns/mnt" "$@"
}

plug() {
    ip link add eth0 netns "$(holder "$1")" type veth peer name "p$1" netns "$(holder 0)"
    on 0 ip link set "p$1" master sw
    on 0 ip link set "p$1" up
    on "$1" ip link set lo up
    on "$1" ip addr add "10.77.0.$1/24" dev eth0
    on "$1" ip link set eth0 up
    # Swarm wants a default route.
    on "$1" ip route add default via 10.77.0.254
    on "$1" sysctl -qw net.ipv4.ip_forward=1
    on "$1" hostname "n$1"
    # Missing on a machine where no containerd has run yet.
    mkdir -p /run/containerd
    on "$1" mount -t tmpfs tmpfs /run/containerd
    on "$1" mount --bind "$folder/n$1/etc" /etc/docker
    # The engine's socket has one path on all machines, as on servers: the first one's.
    [ "$1" = 1 ] || on "$1" mount --bind "$folder/n$1/run" "$folder/n1/run"
}

# No iptables: published ports go through docker-proxy, and the machine's own chains stay as they are.
start() {
    rm -rf "$folder/n$1/exec" "$folder/n$1/docker.pid"
    on "$1" dockerd --config-file "$folder/n$1/daemon.json" --data-root "$folder/n$1/data" \
        --exec-root "$folder/n$1/exec" --pidfile "$folder/n$1/docker.pid" --host "unix://$folder/n$1/run/docker.sock" \
        --iptables=false --ip6tables=false --cgroup-parent "/$name-n$1" \
        </dev/null >>"$folder/n$1/dockerd.log" 2>&1 &
    tries=0
    until docker --host "unix://$folder/n$1/run/docker.sock" info >/dev/null 2>&1; do
        tries=$((tries + 1))
        if [ "$tries" -gt 600 ]; then
            tail -n 20 "$folder/n$1/dockerd.log"
            return 1
        fi
        sleep 0.1
    done
}

groups() {
    for group in /sys/fs/cgroup/*/"$name-n$1" /sys/fs/cgroup/"$name-n$1"; do
        [ ! -d "$group" ] || find "$group" -depth -type d 2>/dev/null || :
    done
}

# Whatever has the machine's folder in its arguments, or is in its groups.
rest() {
    groups "$1" | while read -r group; do cat "$group/cgroup.procs" 2>/dev/null || :; done | grep -v '^0$' || :
    # The pattern by stdin: grep would find itself.
    echo "$folder/n$1/" | grep -lsF -f /dev/stdin /proc/[0-9]*/cmdline | cut -d/ -f3 || :
}

# Everything on a machine ends at once, as in a power cut.
cut_power() {
    rounds=0
    while pids=$(rest "$1") && [ -n "$pids" ] && [ "$rounds" -lt 200 ]; do
        rounds=$((rounds + 1))
        # shellcheck disable=SC2086
        kill -KILL $pids 2>/dev/null || :
        sleep 0.05
    done
    groups "$1" | while read -r group; do rmdir "$group" 2>/dev/null || :; done
}

cleanup() {
    trap '' INT TERM HUP
    for machine in $(seq 1 "$count") 0; do cut_power "$machine"; done
    rm -rf "${folder:?}"
}
trap cleanup EXIT

hold 0
on 0 ip link add sw type bridge
on 0 ip link set sw up
on 0 sysctl -qw net.bridge.bridge-nf-call-iptables=0 2>/dev/null || :
for machine in $(seq 1 "$count"); do
    hold "$machine"
    plug "$machine"
done
for machine in $(seq 1 "$count"); do start "$machine"; done
echo "done started"
while read -r word machine; do
    case $word in
        cut)
            on 0 ip link del "p$machine" 2>/dev/null || :
            cut_power "$machine"
            ;;
        start)
            hold "$machine"
            plug "$machine"
            start "$machine"
            ;;
    esac
    echo "done $word $machine"
done
