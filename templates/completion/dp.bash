# Completion of dp for bash; written by dp: dp completion bash
_dp() {
    local line trim=
    local -a typed=("${COMP_WORDS[@]:1:COMP_CWORD}")
    # bash takes config:set for three words, and puts what is chosen behind the colon.
    if [[ ${typed[1]} == : ]]; then
        ((${#typed[@]} > 3)) || trim=${typed[0]}:
        typed=("${typed[0]}:${typed[2]}" "${typed[@]:3}")
    fi
    COMPREPLY=()
    while IFS= read -r line; do
        line=${line%%$'\t'*}
        COMPREPLY+=("${line#"$trim"}")
    done < <(dp complete -- "${typed[@]}" 2>/dev/null)
    # The value comes right behind it.
    [[ ${#COMPREPLY[@]} != 1 || ${COMPREPLY[0]} != *= ]] || compopt -o nospace 2>/dev/null
}
complete -o default -F _dp dp deploy-paradigm
