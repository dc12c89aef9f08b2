# Completion of dp for fish; written by dp: dp completion fish
function __dp_complete
    set -l words (commandline -opc) (commandline -ct)
    dp complete -- $words[2..-1] 2>/dev/null
end
complete -c dp -f -a '(__dp_complete)'
complete -c deploy-paradigm -f -a '(__dp_complete)'
