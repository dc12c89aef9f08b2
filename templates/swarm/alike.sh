# Written by dp. Whether this server is like the one that built the release.
# Usage: alike MACHINE SYSTEM PROGRAM VERSION; "-" for no program. Exits with 3, 4 or 5 for what differs.
[ "$(uname -m)" = "$1" ] || exit 3
. /usr/lib/os-release
[ "$ID $VERSION_ID" = "$2" ] || exit 4
[ "$3" = - ] || [ "$("$3" --version 2>&1)" = "$4" ] || exit 5
