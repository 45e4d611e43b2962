#!/usr/bin/env bash
# Installs PostgreSQL for the tests from the packages of Debian or Ubuntu. Nothing happens when it is there already, or
# when we may not: then the tests that need it are skipped, and say so.
set -euo pipefail

if command -v initdb pg_ctl >/dev/null || compgen -G '/usr/lib/postgresql/*/bin/initdb' >/dev/null; then
  exit 0
fi
if [ "$(id -u)" -ne 0 ] || ! command -v apt-get >/dev/null; then
  echo "PostgreSQL is not installed: the tests of the store on it are skipped. On Debian and Ubuntu: apt-get install postgresql" >&2
  exit 0
fi
echo "Installing PostgreSQL for the tests from the system's packages (once; about a minute)"
export DEBIAN_FRONTEND=noninteractive
apt-get update --quiet --quiet
# The tests start servers of their own; the package need not start one.
mkdir -p /etc/postgresql-common/createcluster.d
echo "create_main_cluster = false" >/etc/postgresql-common/createcluster.d/marquee-tests.conf
apt-get install --quiet --quiet --yes --no-install-recommends postgresql >/dev/null
