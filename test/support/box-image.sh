#!/bin/sh
# Builds the tree of a test server: a fresh Debian with systemd, sshd and git. Usage: box-image.sh FOLDER base|docker
# docker has Docker Engine besides, which is started when it is wanted.
# FOLDER/base, and FOLDER/docker, appears by one rename, complete. A second call finds it there and does nothing.
set -eu
folder=$1 what=$2 suite=${DP_TEST_DEBIAN:-bookworm}

mkdir -p "$folder"
exec 9>"$folder/lock"
flock 9
[ ! -d "$folder/$what" ] || exit 0
# Only a killed build leaves one of these, and the lock says that none is running.
rm -rf "$folder"/build.*
build=$folder/build.$$
trap 'rm -rf "$build"' EXIT
trap 'exit 143' INT TERM HUP

# Adds what is in Debian to a copy of the base.
if [ "$what" = docker ]; then
    cp -a --reflink=auto "$folder/base" "$build"
    cp /etc/resolv.conf "$build/etc/resolv.conf"
    # No rules of a firewall: what the machine has for them may have to be loaded first. Ports go through docker-proxy.
    # No forwarding: systemd-nspawn shows a box the settings of its network as something to read.
    mkdir -p "$build/etc/docker" "$build/etc/systemd/system/docker.service.d"
    echo '{"iptables": false, "ip6tables": false, "ip-forward": false}' >"$build/etc/docker/daemon.json"
    # systemd-nspawn shows a box the control groups of version 1, but for its own, as something to read.
    cat >"$build/etc/systemd/system/docker.service.d/box.conf" <<'CONF'
[Service]
ExecStartPre=/bin/sh -c 'for group in /sys/fs/cgroup/*/; do [ ! -e "$$group/tasks" ] || mount -o remount,rw,bind "$$group"; done'
CONF
    chroot "$build" sh -euc '
        apt-get update -qq
        DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends docker.io
        apt-get clean
        systemctl disable --quiet docker.service docker.socket containerd.service
        rm -rf /var/lib/apt/lists/*' >/dev/null
    rm -f "$build/etc/resolv.conf"
    mv -T "$build" "$folder/docker"
    exit 0
fi

packages=systemd,systemd-sysv,dbus,openssh-server,git,ca-certificates,curl,sudo,procps,iproute2,python3,python3-venv
mmdebstrap --quiet --variant=minbase --include="$packages" "$suite" "$build"

# Every account with a shell lets the tests in; each box brings its own key.
cat >"$build/etc/ssh/sshd_config.d/box.conf" <<'CONF'
ListenAddress 127.0.0.1
PermitRootLogin yes
PasswordAuthentication no
AuthorizedKeysFile .ssh/authorized_keys /etc/ssh/box_key.pub
UseDNS no
CONF

# Nothing may fetch or clean by itself in the middle of a test, and a container has no console to log in at.
chroot "$build" systemctl mask --quiet apt-daily.timer apt-daily-upgrade.timer systemd-tmpfiles-clean.timer \
    e2scrub_all.timer console-getty.service getty.target systemd-networkd-wait-online.service

# A host whose registries are behind a certificate authority of its own hands that on.
bundle=/etc/ssl/certs/ca-certificates.crt
if ls /usr/local/share/ca-certificates/*.crt >/dev/null 2>&1; then
    cp /usr/local/share/ca-certificates/*.crt "$build/usr/local/share/ca-certificates/"
    chroot "$build" update-ca-certificates >/dev/null 2>&1
    if [ -f /etc/pip.conf ]; then cp /etc/pip.conf "$build/etc/pip.conf"; fi
    echo "cafile=$bundle" >"$build/etc/npmrc"
    mkdir -p "$build/etc/systemd/system.conf.d"
    printf '[Manager]\nDefaultEnvironment=' >"$build/etc/systemd/system.conf.d/box.conf"
    for name in NODE_EXTRA_CA_CERTS SSL_CERT_FILE PIP_CERT REQUESTS_CA_BUNDLE; do
        echo "$name=$bundle" >>"$build/etc/environment"
        printf '%s=%s ' "$name" "$bundle" >>"$build/etc/systemd/system.conf.d/box.conf"
    done
    echo >>"$build/etc/systemd/system.conf.d/box.conf"
fi

# Each box is a machine of its own.
rm -f "$build/etc/resolv.conf" "$build/etc/machine-id" "$build/var/lib/dbus/machine-id"
mv -T "$build" "$folder/base"
