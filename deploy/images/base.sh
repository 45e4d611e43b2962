#!/usr/bin/env bash
# base.sh ENGINE IMAGE: makes a base image out of Debian's packages, for where no public one can be pulled. Takes some minutes, as root.
set -euo pipefail
engine=$1
image=$2

if [ "$(id -u)" -ne 0 ]; then
  echo "debootstrap needs root: sudo make base-image" >&2
  exit 1
fi
if ! command -v debootstrap >/dev/null; then
  echo "debootstrap is missing; on Debian and Ubuntu: apt-get install debootstrap" >&2
  exit 1
fi
root=$(mktemp --directory)
trap 'rm -rf "$root"' EXIT
echo "Unpacking Debian 12 with Python 3.11 (some minutes)"
debootstrap --variant=minbase --include=python3.11,python3.11-venv,binutils,libgomp1,ca-certificates bookworm "$root" >"$root.log" 2>&1 || {
  tail -n 20 "$root.log" "$root/debootstrap/debootstrap.log" >&2 || true
  exit 1
}
# This machine's own sources bring security updates, where it runs the same Debian. They do not stay.
if grep -qs '^VERSION_CODENAME=bookworm' /etc/os-release; then
  cp -r "$root/etc/apt" "$root.apt"
  cp -r /etc/apt/sources.list* "$root/etc/apt/" 2>/dev/null || true
  cp /etc/resolv.conf "$root/etc/resolv.conf"
  chroot "$root" apt-get update --quiet --quiet
  DEBIAN_FRONTEND=noninteractive chroot "$root" apt-get upgrade --quiet --quiet --yes >>"$root.log"
  rm -rf "$root/etc/apt" "$root/etc/resolv.conf"
  mv "$root.apt" "$root/etc/apt"
fi
rm -rf "$root"/var/cache/apt/* "$root"/var/lib/apt/lists/* "$root"/var/log/* "$root"/usr/share/man/* "$root"/usr/share/locale/* "$root.log"
tar --create --directory "$root" --numeric-owner . | "$engine" import --change 'CMD ["/bin/sh"]' - "$image"
echo "Made $image"
