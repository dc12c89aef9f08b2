#!/bin/sh
# written by dp: git's side of a push or fetch by ssh. dp serves its own repositories, git every other. dp setup writes it anew.
unset BUN_OPTIONS BUN_BE_BUN
service=${0##*/git-}
served=
if [ $# = 1 ] && [ -w {{repositories}} ]; then
    case $1 in
        {{repositories}}/*/* | {{repositories}}/..*) ;;
        {{repositories}}/*.git) [ ! -d "$1" ] || served=${1#{{repositories}}/} ;;
    esac
    # Every other way to write the path: git tries the name with .git, too.
    if [ -z "$served" ]; then
        folder=$1
        [ -d "$folder" ] && [ ! -d "$folder.git" ] || folder=$1.git
        real=$(cd -- "$folder" 2>/dev/null && pwd -P)
        all=$(cd {{repositories}} && pwd -P)
        case $real in
            "$all"/*/*) ;;
            "$all"/*.git) served=${real#"$all"/} ;;
        esac
    fi
fi
[ -n "$served" ] || exec git "$service" "$@"
[ -x {{program}} ] || {
    echo "dp is not installed on this server any more: run its install.sh, then push again" >&2
    exit 1
}
cd / || exit 1
{{dp}} serve-git "$service" "${served%.git}"
code=$?
# A deploy of that process: nobody else is left to tell that it was killed.
case $code in 134 | 137 | 139) {{dp}} hook killed "{{repositories}}/$served" ;; esac
exit $code
