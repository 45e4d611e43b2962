# shellcheck shell=bash
# Sourced by the scripts that install a program from the packages of Debian or Ubuntu.

# install_debian NAME WITHOUT PACKAGE…: installs the packages, of which the first is named to people. Where we may not, says what WITHOUT it
# is missing, and ends the script in peace: what needs it is skipped, and says so.
install_debian() {
  local name=$1 without=$2
  shift 2
  if [ "$(id -u)" -ne 0 ] || ! command -v apt-get >/dev/null; then
    echo "$name is not installed: $without. On Debian and Ubuntu: apt-get install $1" >&2
    exit 0
  fi
  echo "Installing $name from the system's packages (once; about a minute)"
  export DEBIAN_FRONTEND=noninteractive
  apt-get update --quiet --quiet
  apt-get install --option DPkg::Lock::Timeout=300 --quiet --quiet --yes --no-install-recommends "$@" >/dev/null
}
