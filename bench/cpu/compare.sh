#!/bin/sh
# The engine against PyTorch on this machine:
#   bench/cpu/compare.sh [--precision fp32|bf16] [--threads 2] [--rounds 15] [--llmc DIR] [--out DIR|none] [CASE…]
# Needs python3 with torch (PYTHON=… picks another). Run it on an idle machine; the table shows the load average.
# Groups of cases: op, train, matmul, generate, attn (long sequences), memory, start, llm.c. See bench/README.md.
set -eu
root=$(CDPATH='' cd -P "$(dirname "$0")/../.." && pwd)
cd "$root"
python=${PYTHON:-python3}
"$python" -c 'import torch' 2>/dev/null || { echo "compare: $python has no torch: pip install torch, or set PYTHON" >&2; exit 2; }

JAVA_HOME=$(./javelin --java-home)
export JAVA_HOME

classpath=
for module in native kernels tensor autograd nn train train/cli bench; do classpath=$classpath:$root/$module/target/classes; done
compiled=bench/target/classes/dev/javelin/bench/Compare.class
if [ ! -e "$compiled" ] || [ -n "$(find ./*/src/main ./train/cli/src/main -name '*.java' -newer "$compiled" 2>/dev/null | head -1)" ]; then
  mvn -q -B -Dspotless.check.skip -Dmaven.test.skip -Djavelin.unchecked -Djavelin.gpu=none -Djavelin.emulator=none compile >&2
  touch "$compiled"
fi
export PYTHONDONTWRITEBYTECODE=1
exec "$python" bench/cpu/compare.py --java "$JAVA_HOME/bin/java" --classpath "${classpath#:}" "$@"
