#!/usr/bin/env bash
# Installs Prometheus for the tests of the alerts from the packages of Debian or Ubuntu: they need its promtool. Nothing
# happens when it is there already, or when we may not: then the tests that need it are skipped, and say so.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/debian.sh"

if command -v promtool >/dev/null; then
  exit 0
fi
install_debian "Prometheus (promtool)" "the tests of alerts and dashboards that need it are skipped" prometheus
# Only the programs are wanted, not a server that runs all day; where no init system runs there is nothing to stop.
if command -v systemctl >/dev/null && systemctl is-system-running >/dev/null 2>&1; then
  systemctl disable --now --quiet prometheus.service
fi
