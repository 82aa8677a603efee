#!/usr/bin/env bash
# Install what deploy/debian-packages.txt names and this machine lacks, where apt-get is and we are root.
# It never fails: a test that misses a program is skipped with its reason.
set -uo pipefail
list="$(dirname "$0")/debian-packages.txt"
missing=()
while read -r package program; do
  PATH="$PATH:/usr/sbin:/sbin" command -v "$program" >/dev/null || missing+=("$package")
done < <(grep -v '^#' "$list")
[ ${#missing[@]} -eq 0 ] && exit 0
missing=($(printf '%s\n' "${missing[@]}" | sort -u))
later="the tests that need them will be skipped"
if ! command -v apt-get >/dev/null; then
  echo "not here: ${missing[*]}; there is no apt-get, so $later" >&2
  exit 0
fi
as_root=()
if [ "$(id -u)" -ne 0 ]; then
  if ! sudo -n true 2>/dev/null; then
    echo "not here: ${missing[*]}; installing needs root, so $later (or: sudo apt-get install ${missing[*]})" >&2
    exit 0
  fi
  as_root=(sudo -n)
fi
echo "installing from Debian: ${missing[*]}"
install=("${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -qq -y)
"${install[@]}" update >/dev/null &&
  "${install[@]}" install --no-install-recommends "${missing[@]}" >/dev/null ||
  echo "apt-get could not install ${missing[*]}: $later" >&2
exit 0
