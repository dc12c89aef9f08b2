#!/bin/sh
# written by dp: the one program that sudo lets the user dp start, as root. dp keys writes it anew.
unset BUN_OPTIONS BUN_BE_BUN
cd / || exit 8
[ -x {{program}} ] || {
    echo "dp: dp is not installed on this server any more" >&2
    exit 8
}
exec {{dp}} gate "$@"
