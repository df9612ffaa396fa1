# SPDX-License-Identifier: MIT
# fish completion of nmi, which knows itself what may follow.
function __nmi_candidates
    set -l words (commandline -opc) (commandline -ct)
    set -l found ($words[1] __complete $words[2..-1] 2>/dev/null)
    string match -v -- :files $found
    contains -- :files $found; and __fish_complete_path (commandline -ct)
end
complete -c nmi -f -a '(__nmi_candidates)'
