# shellcheck shell=bash
# SPDX-License-Identifier: MIT
# Installs what packages.txt asks for. Sourced by ./run, ./test and ./bench.

packages_file=${BASH_SOURCE[0]%/*}/../packages.txt

# missing_packages TAG...: the packages of these tags that are not installed, one a line.
missing_packages() {
    local tag wanted=()
    for tag in "$@"; do
        mapfile -t -O "${#wanted[@]}" wanted < <(sed -n "s/^\[$tag\] *//p" "$packages_file")
    done
    # dpkg-query reports packages it has never heard of by its exit status alone.
    comm -23 <(printf '%s\n' "${wanted[@]}" | sort -u) <(
        dpkg-query -W -f '${Package} ${db:Status-Status}\n' "${wanted[@]}" 2>/dev/null |
            awk '$2 == "installed" { print $1 }' | sort -u)
}

# install_packages TAG...: returns 0 when everything is there; otherwise says what to do.
install_packages() {
    local missing=() as_root=() log command
    command -v dpkg-query >/dev/null || {
        echo "error: this is not a Debian system: dpkg-query is missing. Install by hand what packages.txt lists." >&2
        return 1
    }
    mapfile -t missing < <(missing_packages "$@")
    ((${#missing[@]})) || return 0

    command="apt-get install -y --no-install-recommends ${missing[*]}"
    if ((EUID != 0)); then
        if ! command -v sudo >/dev/null; then
            printf 'error: packages are missing and there is no sudo. As root, run:\n\n    %s\n\n' "$command" >&2
            return 1
        fi
        as_root=(sudo)
    fi
    if ! command -v apt-get >/dev/null; then
        printf 'error: packages are missing and there is no apt-get. Install: %s\n' "${missing[*]}" >&2
        return 1
    fi
    echo "installing ${#missing[@]} packages: ${missing[*]}"
    log=$(mktemp)
    # Whether apt-get is quiet about success, not about failure.
    if "${as_root[@]}" apt-get update >"$log" 2>&1 </dev/null &&
        "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y \
            --no-install-recommends "${missing[@]}" >"$log" 2>&1 </dev/null; then
        rm -f "$log"
        return 0
    fi
    tail -n 20 "$log" >&2
    rm -f "$log"
    printf 'error: apt-get could not install them. As root, run:\n\n    apt-get update && %s\n\n' "$command" >&2
    return 1
}
