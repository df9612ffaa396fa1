# SPDX-License-Identifier: MIT
# bash completion of nmi, which knows itself what may follow.
_nmi() {
    local IFS=$'\n' found
    found=$("$1" __complete "${COMP_WORDS[@]:1:COMP_CWORD}" 2>/dev/null)
    if [[ $'\n'$found$'\n' == *$'\n:files\n'* ]]; then
        compopt -o filenames 2>/dev/null
        found=$(grep -v '^:files$' <<<"$found")$'\n'$(compgen -f -- "$2")
    fi
    COMPREPLY=($found)
}
complete -F _nmi nmi
