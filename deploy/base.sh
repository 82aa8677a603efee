#!/bin/sh
# The images' base where no registry is at hand: Debian's Python with venv, what compiled packages need of C++ and OpenMP,
# certificates and time zones; nothing else.
# deploy/base.sh NAME: made once; an image of that name is kept.
set -eu
name=$1
if buildah inspect --type image "$name" >/dev/null 2>&1; then
    exit 0
fi
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
mmdebstrap --quiet --variant=essential \
    --include=python3-minimal,libpython3-stdlib,python3-venv,libstdc++6,libgomp1,ca-certificates,media-types,tzdata \
    --dpkgopt='path-exclude=/usr/share/man/*' --dpkgopt='path-exclude=/usr/share/locale/*' \
    --dpkgopt='path-exclude=/usr/share/doc/*' --dpkgopt='path-include=/usr/share/doc/*/copyright' \
    bookworm "$folder/base.tar"
container=$(buildah from scratch)
buildah add --quiet "$container" "$folder/base.tar" / >/dev/null
buildah commit --quiet --rm "$container" "$name" >/dev/null
