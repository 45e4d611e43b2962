#!/usr/bin/env bash
# Makes sure that there is a container engine for `make images` and the tests that run images: nothing happens when docker answers or podman is
# there. Else podman comes from the packages of Debian or Ubuntu, when we may.
set -euo pipefail

if docker info >/dev/null 2>&1 || command -v podman >/dev/null; then
  exit 0
fi
if [ "$(id -u)" -ne 0 ] || ! command -v apt-get >/dev/null; then
  echo "No container engine: images cannot be built, and the tests that run them are skipped. Start Docker, or on Debian and Ubuntu: apt-get install podman" >&2
  exit 0
fi
echo "Installing podman from the system's packages (once; about a minute)"
export DEBIAN_FRONTEND=noninteractive
apt-get update --quiet --quiet
# netavark and aardvark-dns: containers on one network find each other by name. runc: works with the old control groups too.
apt-get install --quiet --quiet --yes --no-install-recommends podman runc netavark aardvark-dns iptables catatonit debootstrap >/dev/null
