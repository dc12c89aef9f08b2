#!/bin/sh
# Starts dp from its sources, where no program could be made of dp and Bun; see lib/bundle/entry.ts.
tree=$(dirname "$(dirname "$0")")
path=bin/dp
if [ "${1-}" = program ]; then
    path=$2
    shift 2
fi
exec "$tree/bun/bin/bun" --no-env-file --config=/dev/null --tsconfig-override=/dev/null --no-install "$tree/$path" "$@"
