#!/bin/sh
# Our kernels against cuBLAS and PyTorch: ./run.sh [--device cuda|cuda:N|emulator] [--rounds N] [--millis N] [--seconds N] [CASE…]
# or ./run.sh --first: tests and the cases that matter most, in under ten minutes (first.sh).
# From a packed kit (pack.sh). CASE… picks cases whose names contain one of them, in this order, for instance "matmul 4096" or rmsnorm.
# After --seconds no case is begun and no further round of one.
# PYTHON names an interpreter with torch (python3). Writes one JSON file into $OUT (results/ where OUT is not set) and a table, case by case.
set -u
[ "${1:-}" != --first ] || { shift; exec "$(dirname "$0")/first.sh" "$@"; }
# shellcheck source=common.sh
. "$(dirname "$0")/common.sh"

device=cuda
rounds= millis= seconds=
while [ $# -gt 0 ]; do
  case $1 in
    --device | --rounds | --millis | --seconds)
      [ $# -gt 1 ] || die "$1 needs a value"
      case $1 in --device) device=$2 ;; --rounds) rounds=$2 ;; --millis) millis=$2 ;; --seconds) seconds=$2 ;; esac
      shift 2
      ;;
    -h | --help) sed -n '2,7s/^# //p' "$0"; exit 0 ;;
    -*) die "unknown option $1" ;;
    *) break ;;
  esac
done
probe "$device" || exit 2

python=${PYTHON:-python3}
peer=
why="$python has no torch that sees a GPU"
if [ "$device" = emulator ]; then
  why='not asked on the emulated device'
  echo "$tool: the emulated device: tiny shapes, no PyTorch, and the times mean nothing" >&2
elif ! "$python" -c 'import sys, torch; sys.exit(not torch.cuda.is_available())' 2>/dev/null; then
  echo "$tool: $python has no torch that sees a GPU: its column stays n/a (PYTHON=… names another)" >&2
else
  peer=$python
fi
driver=$(PATH=$PATH:/usr/local/nvidia/bin nvidia-smi --query-gpu=driver_version --format=csv,noheader 2>/dev/null | head -n 1)

# cuBLAS is among the packages that PyTorch brings, or where the toolkit is. PyTorch's come first: its process inherits the path, and
# must find the libraries that it would take by itself.
libraries=/usr/local/cuda/lib64
if [ -n "$peer" ]; then
  libraries=$("$python" -c 'import glob, os, sys
print("".join(sorted({os.path.dirname(f) + ":" for p in sys.path for f in glob.glob(os.path.join(p, "nvidia", "*", "lib", "libcublas.so.1[23]"))})))')$libraries
fi
export LD_LIBRARY_PATH="${LD_LIBRARY_PATH:+$LD_LIBRARY_PATH:}$libraries"

java dev.javelin.bench.GpuCompare --device "$device" --commit "$(cat "$kit/COMMIT")" --driver "${driver:-unknown}" --out "$results" \
  ${peer:+--python "$peer" --peer "$kit/torch_peer.py"} --no-torch "$why" ${rounds:+--rounds "$rounds"} ${millis:+--millis "$millis"} ${seconds:+--seconds "$seconds"} "$@"
