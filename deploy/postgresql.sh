#!/usr/bin/env bash
# Installs PostgreSQL for the tests from the packages of Debian or Ubuntu. Nothing happens when it is there already, or
# when we may not: then the tests that need it are skipped, and say so.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/debian.sh"

if command -v initdb pg_ctl >/dev/null || compgen -G '/usr/lib/postgresql/*/bin/initdb' >/dev/null; then
  exit 0
fi
if [ "$(id -u)" -eq 0 ]; then
  # The tests start servers of their own; the package need not start one.
  mkdir -p /etc/postgresql-common/createcluster.d
  echo "create_main_cluster = false" >/etc/postgresql-common/createcluster.d/marquee-tests.conf
fi
install_debian "PostgreSQL" "the tests of the store on it are skipped" postgresql
