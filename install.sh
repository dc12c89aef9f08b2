#!/bin/sh
# Installs dp from this folder, a git clone of the project. See usage below.
set -eu
unset BUN_OPTIONS BUN_BE_BUN
umask 022

BUN_VERSION=1.4.5
BUN_LEAST="1 4"
MARK="# dp: written by install.sh"

usage() {
    cat <<'TEXT'
Usage: ./install.sh [--prefix DIR]     install dp: as root for everybody (/opt/dp, /usr/local/bin/dp),
                                       else for you (~/.local/share/dp, ~/.local/bin/dp);
                                       with --prefix into DIR/share/dp and DIR/bin
       ./install.sh --uninstall [--prefix DIR]
                                       remove what was installed; apps, repositories and logs stay
       ./install.sh --demo             try dp from this folder, without installing anything
       ./install.sh --test [PATH...]   run the tests
       ./install.sh --bun              print the Bun that --demo and --test use, fetched if it has to be
       ./install.sh --help

Bun is taken from $DP_BUN, from PATH, or fetched into a private folder.
TEXT
}

# Exit codes are dp's: 2 usage, 8 the host lacks something.
fail() {
    code=$1
    shift
    printf 'install.sh: %s\n' "$@" >&2
    exit "$code"
}

say() { printf '%s\n' "$*" >&2; }

# A word for the shell, whatever is in it.
quoted() { printf "'%s'" "$(printf %s "$1" | sed "s/'/'\\\\''/g")"; }

# --- Bun ---------------------------------------------------------------------------------------------------------

# Whether a program is a Bun that runs and is new enough. Not in the current folder: a bunfig.toml there would run.
is_bun() {
    (cd / && "$1" -e 0) >/dev/null 2>&1 || return 1
    found=$(cd / && "$1" --version) || return 1
    # shellcheck disable=SC2086,SC2046
    set -- $BUN_LEAST $(printf %s "$found" | tr '.-' '  ')
    [ "$3" -gt "$1" ] || { [ "$3" -eq "$1" ] && [ "$4" -ge "$2" ]; }
}

# The name of this machine in the names of Bun's packages, or nothing.
platform() {
    case "$(uname -s) $(uname -m)" in
        Linux\ x86_64 | Linux\ amd64) name=linux-x64 ;;
        Linux\ aarch64 | Linux\ arm64) name=linux-aarch64 ;;
        Darwin\ x86_64) name=darwin-x64 ;;
        Darwin\ arm64) name=darwin-aarch64 ;;
        *) return 0 ;;
    esac
    for loader in /lib/ld-musl-*; do
        if [ -e "$loader" ] && [ ! -e /lib64/ld-linux-x86-64.so.2 ] && [ ! -e /lib/ld-linux-aarch64.so.1 ]; then
            name=$name-musl
        fi
    done
    echo "$name"
}

# Fetches Bun into a folder and sets $bun; false when there is no way to.
fetch_bun() {
    folder=$1
    package=bun-$(platform)
    [ "$package" != bun- ] || return 1
    mkdir -p "$folder"
    if command -v npm >/dev/null 2>&1; then
        say "fetching Bun $BUN_VERSION with npm into $folder ..."
        # Not by --prefix: npm would look for its machine-wide settings there, and miss a mirror or an authority.
        printf '{"private":true}\n' >"$folder/package.json"
        (cd "$folder" && npm install --no-save --ignore-scripts --no-package-lock --no-audit --no-fund \
            "@oven/$package@$BUN_VERSION") >"$folder/fetch.log" 2>&1 || tail -n 20 "$folder/fetch.log" >&2
        bun=$folder/node_modules/@oven/$package/bin/bun
        if is_bun "$bun"; then return 0; fi
    fi
    if command -v curl >/dev/null 2>&1 && command -v unzip >/dev/null 2>&1 && command -v bash >/dev/null 2>&1; then
        say "fetching Bun $BUN_VERSION with its own installer into $folder ..."
        # SHELL: the installer must not edit anybody's .bashrc.
        if curl -fsSL https://bun.com/install -o "$folder/installer" &&
            SHELL=/bin/sh BUN_INSTALL=$folder bash "$folder/installer" "bun-v$BUN_VERSION" >"$folder/fetch.log" 2>&1; then
            bun=$folder/bin/bun
            if is_bun "$bun"; then return 0; fi
        fi
        [ ! -f "$folder/fetch.log" ] || tail -n 20 "$folder/fetch.log" >&2
    fi
    return 1
}

# Sets $bun to a Bun that works; what has to be fetched goes to the folder $1. Other arguments: places to look at.
find_bun() {
    fetched=$1
    shift
    if [ -n "${DP_BUN-}" ]; then
        is_bun "$DP_BUN" || fail 8 "DP_BUN=$DP_BUN is not a Bun of version $(echo "$BUN_LEAST" | tr ' ' .) or newer that runs"
        bun=$DP_BUN
        return
    fi
    for bun in "$(command -v bun || :)" "$@" "$fetched/node_modules/@oven/bun-$(platform)/bin/bun" "$fetched/bin/bun"; do
        if [ -n "$bun" ] && is_bun "$bun"; then return; fi
    done
    fetch_bun "$fetched" || fail 8 "Bun $BUN_VERSION is needed and could not be fetched. Any one of these helps:" \
        "  install npm, and run this again" \
        "  install curl and unzip, and run this again" \
        "  bring a Bun yourself: DP_BUN=/path/to/bun ./install.sh"
}

needs_git() {
    command -v git >/dev/null 2>&1 || fail 8 "git is not installed; dp deploys what git pushes. On Debian: apt-get install git"
}

# --- the installation ------------------------------------------------------------------------------------------------

# With install.sh, so that an installed dp can be sent to another server and installed there.
PARTS="bin lib steps templates package.json bun.lock tsconfig.json bunfig.toml install.sh README.md docs LICENSE"

# One line that changes with anything that would be installed. macOS has no sha256sum.
fingerprint() {
    sum=sha256sum
    command -v sha256sum >/dev/null 2>&1 || sum="shasum -a 256"
    # shellcheck disable=SC2086
    (cd "$source" && find $PARTS -type f -exec $sum {} + 2>/dev/null | sort | $sum | cut -c1-16)
}

# Fills the folder $1 with dp, its packages and its own Bun.
build_tree() {
    for part in $PARTS; do
        if [ -e "$source/$part" ]; then cp -R "$source/$part" "$1/$part"; fi
    done
    find_bun "$1/fetched" "$source/bun/bin/bun" "$tree/bun/bin/bun" "$source/.cache/bun/node_modules/@oven/bun-$(platform)/bin/bun"
    # PATH may have led to a link or a shim: the program itself is what is wanted.
    program=$(cd / && "$bun" -e 'console.log(process.execPath)')
    mkdir -p "$1/bun/bin"
    # A link to a file of another user could be changed under us.
    if ! { [ -O "$program" ] && ln "$program" "$1/bun/bin/bun" 2>/dev/null; }; then
        cp "$program" "$1/bun/bin/bun"
        chmod 755 "$1/bun/bin/bun"
    fi
    bun=$1/bun/bin/bun
    rm -rf "$1/fetched"
    as_in_clone "$1"
    # Run by hand, a step starts by its first line, and PATH need not have any Bun.
    # In the quotes of env -S, then in the replacement of sed, a backslash keeps a character as it is.
    word=$(printf %s "$tree/bun/bin/bun" | sed "s/[\\\\']/\\\\&/g; s/[\\\\&|]/\\\\&/g")
    edit_programs "$1" "1s|^#!/usr/bin/env -S bun |#!/usr/bin/env -S '$word' |"
    # What the clone has already needs no network; the next line completes and checks it.
    (cd "$1" && "$bun" --no-env-file -e 'console.log(Object.keys(require("./package.json").dependencies).join("\n"))') |
        while read -r package; do
            [ -d "$source/node_modules/$package" ] || continue
            mkdir -p "$1/node_modules/$(dirname "$package")"
            cp -RL "$source/node_modules/$package" "$1/node_modules/$package"
        done
    (cd "$1" && "$bun" install --production --omit=peer --frozen-lockfile --ignore-scripts --backend=copyfile >install.log 2>&1) ||
        { cat "$1/install.log" >&2; fail 6 "dp's packages could not be installed"; }
    rm -f "$1/install.log"
    write_commit >"$1/.commit"
    link_moved "$1"
    make_bundle "$1"
    find "$1" ! -path "$1/bun/bin/bun" ! -type l -exec chmod u=rwX,go=rX {} +
    fingerprint >"$1/.installed"
}

# Edits the programs of the tree $1 by the line $2 of sed. The option -i is not the same everywhere.
edit_programs() {
    for file in "$1"/bin/* "$1"/steps/*; do
        [ -f "$file" ] || continue
        sed "$2" "$file" >"$1/edited"
        cat "$1/edited" >"$file"
    done
    rm -f "$1/edited"
}

# The programs of an installed dp name its own Bun and its own bundle: what they are made from names neither.
as_in_clone() {
    edit_programs "$1" "1s|^#!/usr/bin/env -S .* --no-env-file|#!/usr/bin/env -S bun --no-env-file|"
    edit_programs "$1" 's|"../bundle/dp.js"|"../lib/cli.ts"|'
}

# The commit that is installed, or nothing: a repository around this folder would be another project's.
write_commit() {
    if [ -f "$source/.commit" ]; then cat "$source/.commit"; fi
    [ -e "$source/.git" ] || return 0
    git -C "$source" describe --always --dirty --exclude='*' 2>/dev/null || return 0
}

# What units and guards of dp 0.1.0 start by its path, and where that is now: they go on until dp setup writes them anew.
MOVED="relay/process.ts:fronts/relay/process.ts static/process.ts:apps/static/process.ts builtin/supervisor.ts:host/supervisor/supervisor.ts"

link_moved() {
    for pair in $MOVED; do
        old=${pair%%:*} new=${pair#*:}
        [ -e "$1/lib/$new" ] || continue
        mkdir -p "$1/lib/$(dirname "$old")"
        # A link, so that the program itself is what is started.
        ln -sf "../$new" "$1/lib/$old"
    done
}

# dp as one program with Bun and its bytecode in it, which starts in a third of the time. Without it dp runs from its
# sources, as in a clone.
make_bundle() {
    mkdir "$1/bundle"
    # What guards of dp 0.2.0 start.
    ln -s ../lib/host/supervisor/supervisor.ts "$1/bundle/supervisor.js"
    if (cd / && hardened "$1/lib/bundle/bundle.ts" "$1/bundle") >"$1/bundle.log" 2>&1; then
        cp "$1/bin/dp" "$1/bin/dp.source"
        sed 's|"../lib/cli.ts"|"../bundle/dp.js"|' "$1/bin/dp.source" >"$1/bin/dp"
        if says_version hardened "$1/bin/dp" && says_version "$1/bundle/dp"; then
            write_variables "$1/bundle"
            rm "$1/bin/dp.source" "$1/bundle.log"
            return
        fi
        mv "$1/bin/dp.source" "$1/bin/dp"
    fi
    say "dp could not be made one program, and starts from its sources, a little slower:"
    tail -n 5 "$1/bundle.log" >&2
    rm -f "$1"/bundle/dp* "$1/bundle.log"
    # Hooks and units start dp by this name.
    cp "$1/templates/start.sh" "$1/bundle/dp"
    chmod 755 "$1/bundle/dp"
}

# Programs that run long are compiled later: a server that boots has better use for its processors, and the relay of a busy
# one is compiled within its first second all the same. lib/host/compilers.ts reads it.
write_variables() {
    late=BUN_JSC_thresholdForJITAfterWarmUp=5000
    if (cd / && env "$late" "$1/dp" --version) >/dev/null 2>&1 </dev/null; then echo "$late" >"$1/variables"; fi
}

# Whether a command that starts the new dp does: its log tells why not.
says_version() {
    case $(cd / && "$@" --version 2>>"$stage/bundle.log") in
        "dp $version" | "dp $version ("*")") ;;
        *) return 1 ;;
    esac
}

# Starts a program of dp's, as dp does: nothing in the current folder has a say.
hardened() { "$bun" --no-env-file --config=/dev/null --tsconfig-override=/dev/null --no-install "$@"; }

# Puts a link in place by one rename. mv would move it into the folder that the old one leads to.
point() {
    ln -s "$2" "$1.new.$$"
    (cd / && hardened -e 'require("fs").renameSync(process.argv[1], process.argv[2])' "$1.new.$$" "$1")
}

# A rollback must not end with the terminal: in a session of its own dp need not start a second dp for that. On a machine
# without apps it goes to a server, and ssh may have to ask something in the terminal.
detach_lines() {
    echo 'detached='
    [ "$(setsid -f -w echo ok 2>/dev/null)" = ok ] || return 0
    cat <<'TEXT'
if [ "${1-}" = rollback ] && { [ -n "${DP_ROOT-}" ] || [ -d /opt/deployments ]; }; then
    detached="setsid -f -w"
    for word in "$@"; do case $word in -r* | --remote*) detached= ;; esac; done
fi
TEXT
}

# A command that is typed is over before what JavaScriptCore's optimizing compiler makes has paid: an eighth of its processor
# time. A rollback, which does nothing often, and a reconcile, which does little for each app, are over before what any compiler
# makes has paid. Other versions of Bun may not know the variables, and then do not start. dp takes them out of its
# environment: lib/host/compilers.ts.
compiler_lines() {
    starts_with BUN_JSC_useDFGJIT=0 || return 0
    echo 'export BUN_JSC_useDFGJIT=0'
    starts_with BUN_JSC_useBaselineJIT=0 BUN_JSC_useRegExpJIT=0 || return 0
    # shellcheck disable=SC2016 # it is the command's own argument
    echo 'case ${1-} in rollback | reconcile) export BUN_JSC_useBaselineJIT=0 BUN_JSC_useRegExpJIT=0 ;; esac'
}

# Whether dp starts with these variables.
starts_with() {
    (cd / && env "$@" "$tree/bundle/dp" --version) >/dev/null 2>&1 </dev/null
}

write_commands() {
    mkdir -p "$commands"
    cat >"$commands/dp.new.$$" <<TEXT
#!/bin/sh
$MARK
unset BUN_OPTIONS BUN_BE_BUN
$(compiler_lines)
$(detach_lines)
exec \$detached $(quoted "$tree/bundle/dp") "\$@"
TEXT
    chmod 755 "$commands/dp.new.$$"
    mv -f "$commands/dp.new.$$" "$commands/dp"
    ln -s dp "$commands/deploy-paradigm.new.$$"
    mv -f "$commands/deploy-paradigm.new.$$" "$commands/deploy-paradigm"
}

# Where shells look for completions, by themselves: what it is made from, and the file.
completions() {
    echo "dp.bash $share/bash-completion/completions/dp"
    echo "_dp $share/zsh/site-functions/_dp"
    echo "dp.fish $share/fish/vendor_completions.d/dp.fish"
}

is_our_completion() { grep -q "^# Completion of dp for .*; written by dp:" "$1" 2>/dev/null; }

write_completions() {
    completions | while read -r from file; do
        [ -f "$tree/templates/completion/$from" ] || continue
        if [ -e "$file" ] && ! is_our_completion "$file"; then
            say "left alone: $file is not from install.sh"
            continue
        fi
        mkdir -p "$(dirname "$file")"
        cp "$tree/templates/completion/$from" "$file.new.$$"
        chmod 644 "$file.new.$$"
        mv -f "$file.new.$$" "$file"
    done
}

remove_completions() {
    completions | while read -r _ file; do
        if is_our_completion "$file"; then rm -f "$file"; fi
    done
}

# Older trees go, save the one just replaced and those that still run: a deploy may be under way in them.
remove_old_trees() {
    for old in "$trees"/*/; do
        old=${old%/}
        case ${old##*/} in "$1" | "$2") continue ;; esac
        if [ ! -f "$old/.installed" ] || in_use "$old"; then continue; fi
        rm -rf "$old"
    done
}

# A tree that was never finished is the rest of an installation that was killed: with the lock, nobody works on it.
remove_unfinished() {
    for old in "$trees"/*.??????/; do
        old=${old%/}
        if [ -d "$old" ] && [ ! -f "$old/.installed" ]; then rm -rf "$old"; fi
    done
}

in_use() {
    # Not grep -q: it would end the pipe early. readlink fails for processes that are gone or not ours.
    { readlink /proc/[0-9]*/exe 2>/dev/null || :; } | grep -F -e "$1/bun/bin/bun" -e "$1/bundle/dp" >/dev/null
}

# Refuses to touch what somebody else put there.
check_places() {
    if [ -e "$tree" ] || [ -L "$tree" ]; then
        case $(readlink "$tree" || :) in
            "$(basename "$trees")"/*) ;;
            *) fail 1 "$tree is there and is not from install.sh; move it away first" ;;
        esac
    fi
    if [ -e "$commands/dp" ] && ! grep -qxF "$MARK" "$commands/dp"; then
        fail 1 "$commands/dp is there and is not from install.sh; move it away first"
    fi
    if [ -e "$commands/deploy-paradigm" ] && [ "$(readlink "$commands/deploy-paradigm" || :)" != dp ]; then
        fail 1 "$commands/deploy-paradigm is there and is not from install.sh; move it away first"
    fi
}

install_dp() {
    needs_git
    check_places
    version=$(sed -n 's/.*"version": *"\([^"]*\)".*/\1/p' "$source/package.json" | head -n 1)
    mkdir -p "$trees"
    exec 9>"$trees/.lock"
    if command -v flock >/dev/null 2>&1 && flock 9; then remove_unfinished; fi
    before=$(basename "$(readlink "$tree" || :)")
    if [ -z "${DP_BUN-}" ] && [ -n "$before" ] && is_bun "$tree/bun/bin/bun" &&
        [ "$(cat "$tree/.installed" 2>/dev/null)" = "$(fingerprint)" ]; then
        write_commands
        write_completions
        say "dp $version is up to date in $tree"
        return
    fi
    stage=$(mktemp -d "$trees/$version.XXXXXX")
    trap 'rm -rf "$stage"' EXIT
    trap 'exit 143' INT TERM HUP
    build_tree "$stage"
    (cd / && "$stage/bundle/dp" --version) </dev/null >"$stage/start.log" 2>&1 ||
        { tail -n 5 "$stage/start.log" >&2; fail 6 "dp $version does not start here"; }
    rm "$stage/start.log"
    point "$tree" "$(basename "$trees")/$(basename "$stage")"
    trap - EXIT INT TERM HUP
    write_commands
    write_completions
    remove_old_trees "$(basename "$stage")" "$before"
    if [ -n "$before" ]; then say "dp $version has replaced what was in $tree"; else say "dp $version is installed in $tree"; fi
    case ":$PATH:" in
        *":$commands:"*) say "next: dp --help" ;;
        *) say "$commands is not in your PATH; add it: export PATH=$(quoted "$commands"):\"\$PATH\"" ;;
    esac
}

uninstall_dp() {
    check_places
    if [ ! -L "$tree" ] && [ ! -e "$commands/dp" ] && [ ! -d "$trees" ]; then
        say "nothing to remove: there is no $tree"
        return
    fi
    remove_units
    rm -f "$commands/dp" "$commands/deploy-paradigm" "$tree"
    remove_completions
    for old in "$trees"/*/; do
        if [ -f "$old.installed" ]; then rm -rf "$old"; fi
    done
    rm -f "$trees/.lock"
    rmdir "$trees" 2>/dev/null || say "left alone: $trees is not empty"
    say "dp is removed from $tree and $commands"
    for left in /opt/deployments /var/repos /var/log/deployments; do
        if [ -e "$left" ]; then say "left alone: $left"; fi
    done
    pushed=
    for repo in /var/repos/*.git; do
        if starts_dp "$repo/hooks/update" /usr/local/bin/git-receive-pack && [ -d "$repo" ]; then
            app=${repo#/var/repos/}
            say "without dp: the app ${app%.git} runs on, and cannot be pushed to or come up after a reboot; install dp again, or take the app away first with dp destroy"
            pushed=$app
        fi
    done
    remove_git_commands "$pushed"
}

# Whether one of these files starts this dp, by the name of today or by that of dp 0.2.0 and before.
starts_dp() { grep -qF -e "$tree/bun/bin/bun" -e "$tree/bundle/dp" "$@" 2>/dev/null; }

# The units whose only work is to start dp: without it they would fail again and again.
remove_units() {
    units=
    for name in dp-watch dp-notify dp-metrics; do
        starts_dp "/etc/systemd/system/$name.service" || continue
        [ ! -e "/etc/systemd/system/$name.timer" ] || units="$units $name.timer"
        units="$units $name.service"
    done
    [ -n "$units" ] || return 0
    # shellcheck disable=SC2086
    systemctl disable --now --quiet $units 2>/dev/null || :
    for unit in $units; do rm -f "/etc/systemd/system/$unit"; done
    systemctl daemon-reload || :
    # What was under way when it was stopped counts as failed.
    # shellcheck disable=SC2086
    systemctl reset-failed $units 2>/dev/null || :
    say "removed the units$units"
}

# What dp setup has put before git's own commands. While there is a repository it tells whoever pushes that dp is gone.
remove_git_commands() {
    for command in /usr/local/bin/git-receive-pack /usr/local/bin/git-upload-pack; do
        starts_dp "$command" || continue
        if [ -n "$1" ]; then say "left alone: $command"; else rm -f "$command"; fi
    done
}

# --- from the clone ----------------------------------------------------------------------------------------------------

# Bun and packages for running dp out of this folder; everything lands in .cache and node_modules.
prepare_clone() {
    needs_git
    find_bun "$source/.cache/bun" "$tree/bun/bin/bun"
    log=$(mktemp)
    (cd "$source" && BUN_INSTALL_CACHE_DIR=$source/.cache/packages "$bun" install --frozen-lockfile --ignore-scripts >"$log" 2>&1) ||
        { cat "$log" >&2; rm -f "$log"; fail 6 "dp's packages could not be installed"; }
    rm -f "$log"
}

# Notes what is to be done, which is one thing.
choose() {
    case $what in
        "" | "$1") what=$1 ;;
        *) fail 2 "--$what and --$1 contradict each other" "try: ./install.sh --help" ;;
    esac
}

# Notes where to install, which is one place.
choose_prefix() {
    case $1 in "" | -*) fail 2 "--prefix needs a folder" ;; esac
    case $prefix in
        "" | "$1") prefix=$1 ;;
        *) fail 2 "--prefix $prefix and --prefix $1 contradict each other" "try: ./install.sh --help" ;;
    esac
}

main() {
    source=$(cd "$(dirname "$0")" && pwd -P)
    what='' prefix=''
    while [ $# -gt 0 ]; do
        case $1 in
            --help | -h) usage && exit 0 ;;
            --uninstall | --bun) choose "${1#--}" ;;
            --demo | --test) choose "${1#--}" && shift && break ;;
            --prefix) choose_prefix "${2-}" && shift ;;
            --prefix=*) choose_prefix "${1#*=}" ;;
            *) fail 2 "unknown argument: $1" "try: ./install.sh --help" ;;
        esac
        shift
    done
    # What follows is for the demo or the tests, but for words that could only be meant for this.
    for word in "$@"; do
        case $word in --uninstall | --bun | --demo | --test) choose "${word#--}" ;; esac
    done
    case $prefix in /* | "") ;; *) prefix=$(pwd)/$prefix ;; esac
    if [ -z "$prefix" ] && [ "$(id -u)" = 0 ]; then
        tree=/opt/dp commands=/usr/local/bin share=/usr/local/share
    else
        [ -n "$prefix" ] || prefix=${HOME:?install.sh: HOME is not set}/.local
        tree=$prefix/share/dp commands=$prefix/bin share=$prefix/share
    fi
    trees=$tree.d
    case ${what:-install} in
        install) install_dp ;;
        uninstall) uninstall_dp ;;
        bun)
            prepare_clone
            printf '%s\n' "$bun"
            ;;
        demo)
            prepare_clone
            exec "$bun" --no-env-file --config=/dev/null --tsconfig-override=/dev/null --no-install "$source/bin/dp" demo "$@"
            ;;
        test)
            prepare_clone
            cd "$source"
            exec "$bun" --no-env-file --no-install test/support/run.ts "$@"
            ;;
    esac
}

main "$@"
