#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Puts the image behind GRUB on a bootable ISO, for a CD drive or a USB stick. GRUB's menu has one
# entry for each command line, takes the first, and speaks on the screen and the serial line.
set -euo pipefail

if (($# < 3)); then
    echo "usage: make_iso.sh IMAGE ISO COMMAND_LINE..." >&2
    exit 2
fi
image=$1 iso=$2
shift 2
for tool in grub-mkrescue grub-file xorriso mformat; do
    command -v "$tool" >/dev/null || {
        echo "error: $tool is missing: install grub-common, grub-pc-bin, xorriso and mtools" >&2
        exit 1
    }
done
if grub-file --is-x86-multiboot2 "$image"; then
    load=multiboot2
elif grub-file --is-x86-multiboot "$image"; then
    load=multiboot
else
    echo "error: $image has no Multiboot header: GRUB cannot start it" >&2
    exit 1
fi

folder=$(mktemp -d "${TMPDIR:-/tmp}/nmircu-iso.XXXXXX")
trap 'rm -rf "$folder"' EXIT
mkdir -p "$folder/boot/grub"
cp "$image" "$folder/boot/nmircu"
{
    echo 'serial --unit=0 --speed=115200'
    echo 'terminal_output --append serial'
    echo 'set timeout=0'
    for line in "$@"; do
        printf 'menuentry "%s" {\n    %s /boot/nmircu %s\n    boot\n}\n' "$line" "$load" "$line"
    done
} >"$folder/boot/grub/grub.cfg"

# What GRUB offers beyond the PC's own firmware is left out: the image starts from it only.
if ! output=$(grub-mkrescue -d /usr/lib/grub/i386-pc --fonts= --locales= --themes= -o "$iso" "$folder" 2>&1); then
    printf '%s\nerror: grub-mkrescue could not make %s\n' "$output" "$iso" >&2
    exit 1
fi
