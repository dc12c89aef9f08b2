#!/bin/sh
# Boots a box and becomes its systemd-nspawn. Usage: box-boot.sh FOLDER MACHINE BASE
# FOLDER/cgroups lists groups made for this box alone. Without them two boxes would share one group, and the
# systemd of one would kill the services of the other.
set -eu
folder=$1 machine=$2 base=$3

while read -r group; do echo $$ >"$group/cgroup.procs"; done <"$folder/cgroups"

# An engine makes bridges, mounts and groups as it likes: its box has a network of its own, which goes with it.
echo $$ >"$folder/nspawn"
own=--mount more=
if [ "${base##*/}" = docker ]; then
    own=--net
    more="--network-namespace-path=/proc/self/ns/net --capability=all"
    export SYSTEMD_SECCOMP=0
fi

# In a mount namespace of its own the overlay is gone with the box's last process, however that ends.
# shellcheck disable=SC2016
exec unshare --mount "$own" --propagation private sh -euc '
    folder=$1 machine=$2 base=$3 more=$4
    if [ -d "$folder/upper" ]; then
        mount -t overlay overlay -o "lowerdir=$base,upperdir=$folder/upper,workdir=$folder/work" "$folder/root"
    fi
    # shellcheck disable=SC2086
    exec systemd-nspawn --quiet --directory="$folder/root" --machine="$machine" --boot --register=no --keep-unit \
        --link-journal=no --resolv-conf=off --timezone=off --console=pipe $more' box "$folder" "$machine" "$base" "$more"
