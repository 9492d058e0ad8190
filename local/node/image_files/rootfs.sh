#!/bin/sh
# Bootstraps a Debian root file system as a tar: the local stand-in for python:3.12-slim-bookworm. usage: rootfs.sh TARGET SUITE PACKAGES
set -eu
target=$1 suite=$2 packages=$3
# The mirror that this machine's own apt uses.
mirror=${DEBIAN_MIRROR:-$(apt-get indextargets --format '$(SITE)' | head -n 1)}
certificates=/usr/local/share/ca-certificates
set -- --variant=apt --hook-dir=/usr/share/mmdebstrap/hooks/maybe-merged-usr --include="$packages" \
       --dpkgopt=force-unsafe-io --aptopt='Acquire::Languages "none"'
# This machine's own certificate authorities, so that a proxy which inspects TLS does not break pip inside builds.
if ls "$certificates"/*.crt >/dev/null 2>&1; then
    set -- "$@" --customize-hook="cp $certificates/*.crt \"\$1\"$certificates/" \
                --customize-hook='chroot "$1" update-ca-certificates >/dev/null'
fi
# Not --dpkgopt=path-exclude: it filters every package through Python and costs 15 s.
set -- "$@" --customize-hook='rm -rf "$1"/usr/share/man/* "$1"/usr/share/locale/* "$1"/usr/share/info/*' \
            --customize-hook='find "$1"/usr/share/doc -type f ! -name copyright -delete' \
            --customize-hook='ln -sf python3 "$1"/usr/bin/python'
# --format=tar: a target that does not end in .tar would otherwise become a directory.
mmdebstrap --quiet --format=tar "$@" "$suite" "$target" "$mirror"
