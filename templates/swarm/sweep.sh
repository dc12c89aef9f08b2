# Written by dp. Removes from this server the images of one app that no kept release needs, and what jobs left behind.
# Usage: sweep SOCKET REPOSITORY APP ROOT SERVICES DIGEST...
socket=$1 repository=$2 app=$3 root=$4 services=$5
shift 5
engine() { docker --host "unix://$socket" "$@"; }
ended() { engine container ls --all --filter status=exited "$@"; }
remove() { while read -r id _; do engine container rm "$id"; done; }

# Docker keeps the containers of a job when its service is removed.
ended --filter "label=dp.sweep=$app" --filter "label=dp.root=$root" --format '{{.ID}}' | remove
ended --filter "label=dp.app=$app" --filter "label=dp.root=$root" \
    --format '{{.ID}} {{.Label "com.docker.swarm.service.name"}} {{.Status}}' |
    while read -r id service status; do
        case " $services " in *" $service "*) continue ;; esac
        # A younger one may belong to a service that is newer than the list of them.
        case $status in *hour* | *day* | *week* | *month* | *year*) echo "$id" ;; esac
    done | remove

tries=20
while :; do
    left=
    for digest in $(engine image ls --digests --format '{{.Digest}}' "$repository"); do
        case " $* " in *" $digest "*) continue ;; esac
        ended --filter "ancestor=$repository@$digest" --format '{{.ID}}' | remove
        # Without --force: Docker refuses to remove what a container uses.
        engine image rm "$repository@$digest" || left=yes
    done
    tries=$((tries - 1))
    [ -n "$left" ] && [ "$tries" -gt 0 ] || exit 0
    # The containers of a removed service go one by one.
    sleep 3
done
