#!/usr/bin/env bash
# Makes sure that there is a container engine for `make images` and the tests that run images: nothing happens when docker answers or podman is
# there. Else podman comes from the packages of Debian or Ubuntu, when we may.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/../debian.sh"

if docker info >/dev/null 2>&1 || command -v podman >/dev/null; then
  exit 0
fi
# netavark and aardvark-dns: containers on one network find each other by name. runc: works with the old control groups too.
install_debian "A container engine (docker or podman)" "images cannot be built, and the tests that run them are skipped" \
  podman runc netavark aardvark-dns iptables catatonit debootstrap
