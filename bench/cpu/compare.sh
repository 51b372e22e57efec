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

# shellcheck source=bench/cpu/classpath.sh
. bench/cpu/classpath.sh
exec "$python" bench/cpu/compare.py --java "$JAVA_HOME/bin/java" --classpath "$classpath" "$@"
