#!/usr/bin/env bash
# Installs Prometheus for the tests of the alerts from the packages of Debian or Ubuntu: they need its promtool. Nothing
# happens when it is there already, or when we may not: then the tests that need it are skipped, and say so.
set -euo pipefail

if command -v promtool >/dev/null; then
  exit 0
fi
if [ "$(id -u)" -ne 0 ] || ! command -v apt-get >/dev/null; then
  echo "promtool is not installed: the tests of alerts and dashboards that need it are skipped. On Debian and Ubuntu: apt-get install prometheus" >&2
  exit 0
fi
echo "Installing Prometheus for the tests from the system's packages (once; about a minute)"
export DEBIAN_FRONTEND=noninteractive
apt-get update --quiet --quiet
apt-get install --option DPkg::Lock::Timeout=300 --quiet --quiet --yes --no-install-recommends prometheus >/dev/null
# Only the programs are wanted, not a server that runs all day; where no init system runs there is nothing to stop.
if command -v systemctl >/dev/null && systemctl is-system-running >/dev/null 2>&1; then
  systemctl disable --now --quiet prometheus.service
fi
