#!/bin/sh
# install.sh PYTHON REQUIREMENTS: installs a lock into the environment of that Python, checksums verified, wheels only.
set -eu
python=$1
requirements=$2

set -- --quiet --no-deps --only-binary :all: --require-hashes --root-user-action ignore
# A wheel that was fetched for the builder leaves no trace of where it came from.
if ls /wheels/*.whl >/dev/null 2>&1; then
  set -- "$@" --no-index --find-links /wheels
fi
/tools/bin/python -m pip --python "$python" install "$@" --requirement "$requirements"
