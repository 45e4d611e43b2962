#!/bin/sh
# finish.sh COMPONENT: adds Marquee to the environment /opt/marquee, takes away what the component does not need, and proves that it starts.
set -eu
component=$1
python=/opt/marquee/bin/python

# The same commit gives the same wheels.
export SOURCE_DATE_EPOCH=315532800
for project in /source/services/client /source; do
  (cd "$project" && /tools/bin/python -m hatchling build --target wheel --directory /built >/dev/null)
done
/tools/bin/python -m pip --python "$python" install --quiet --no-deps --no-index --root-user-action ignore /built/*.whl

if [ "$component" = trainer ]; then
  start='/opt/marquee/bin/marquee'
  module=services.cli.main,services.classical.training.ials,services.classical.training.tree_ranker
else
  start="/opt/marquee/bin/python -m services.$component.main"
  module=services.$component.main
fi
# `exec`: the service itself is process 1 and receives the signals.
printf '#!/bin/sh\nexec %s "$@"\n' "$start" >/opt/marquee/bin/marquee-component
chmod 755 /opt/marquee/bin/marquee-component

/tools/bin/python /recipe/trim.py /opt/marquee "$component"
/tools/bin/python /recipe/bill.py /opt/marquee /system "$component"
"$python" -c "import $module"
# Sources and bytecode are compared by nobody: the file system is read-only, and layers keep no times.
"$python" -m compileall -q -j 0 --invalidation-mode unchecked-hash /opt/marquee/lib
/tools/bin/python /recipe/libraries.py /opt/marquee /system
mkdir -p /data
