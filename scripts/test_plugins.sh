#!/usr/bin/env bash
# Builds every package under plugins/ and tests it in an environment of its own, with the core.
#
# The core and torch are installed once; each package's environment lies on top of that one, so
# that no package sees another's dependencies. Tests run on the wheels, away from the sources.
set -euo pipefail
cd "$(dirname "$0")/.."
root=$PWD
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
export OMP_WAIT_POLICY=PASSIVE GOMP_SPINCOUNT=0 HF_HUB_OFFLINE=1
unset PYTHONPATH

"${PYTHON:-python3}" -m venv "$work/core"
# bytecode is compiled when a module is imported: most of torch never is
pip=("$work/core/bin/python" -m pip install -q --no-compile)
"${pip[@]}" torch==2.13.0 # first, so that a CPU build offered by the configured index is kept
"${pip[@]}" -c constraints.txt hatchling pytest
"$work/core/bin/python" -m pip wheel -q --no-deps --no-build-isolation -w "$work/wheels" \
  "$root" "$root"/plugins/*/
"${pip[@]}" -c constraints.txt "$work"/wheels/softdiv-*.whl
site=$("$work/core/bin/python" -c "import sysconfig; print(sysconfig.get_path('purelib'))")

for folder in plugins/*/; do
  name=$(basename "$folder")
  here="$work/$name"
  "$work/core/bin/python" -m venv "$here"
  own=$("$here/bin/python" -c "import sysconfig; print(sysconfig.get_path('purelib'))")
  echo "$site" >"$own/core.pth"
  wheel=("$work/wheels/${name//-/_}"-*.whl)
  "$here/bin/python" -m pip install -q --no-compile "${wheel[0]}[dev]"
  cp -r "$folder/tests" "$here/tests"
  echo "== $name"
  (cd "$here/tests" && "$here/bin/python" -m pytest -q -p no:cacheprovider --import-mode=importlib .)
done
