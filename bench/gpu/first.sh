#!/bin/sh
# What a GPU is asked first, in under ten minutes: ./run.sh --first [--device cuda|cuda:N|emulator] [--dry-run]
# Tests; then products, attention and a training step beside cuBLAS and PyTorch, in turn. Each part has its seconds, and what it
# has written by then stays. first.json, written anew after each part, says what ran, for how long, and where its results are.
set -u
# shellcheck source=common.sh
. "$(dirname "$0")/common.sh"

device=cuda
dry=
while [ $# -gt 0 ]; do
  case $1 in
    --device) [ $# -gt 1 ] || die "--device needs cuda, cuda:N or emulator"; device=$2; shift 2 ;;
    --dry-run) dry=1; shift ;;
    -h | --help) sed -n '2,4s/^# //p' "$0"; exit 0 ;;
    *) die "--first knows --device and --dry-run, not $1" ;;
  esac
done

parts= failed=0 left=580 begun=$(date +%s)
summary=$results/first.json

save() { # whole or not at all
  printf '{\n  "commit": "%s",\n  "date": "%s",\n  "driver": "%s",\n  "device": "%s",\n  "parts": [%s\n  ]\n}\n' \
    "$(cat "$kit/COMMIT")" "$date" "$driver" "$name" "$parts" >"$summary.new" && mv "$summary.new" "$summary"
}

# No part goes beyond what is left of the ten minutes.
allow() {
  seconds=$1
  [ "$seconds" -le "$left" ] || seconds=$left
}

# A name, its seconds at most, a command.
part() {
  what=$1 seconds=$2
  shift 2
  if [ -n "$dry" ]; then
    echo "$seconds s  $what: $*"
    left=$((left - seconds))
    return
  fi
  if [ "$seconds" -lt 10 ]; then
    code=-1 took=0
    echo "first: no time is left for $what" >&2
  else
    from=$(date +%s)
    # --limit and --seconds end what runs in good order; this ends what hangs
    OUT=$results timeout -k 10 "$seconds" "$@"
    code=$?
    took=$(($(date +%s) - from))
    left=$((580 - $(date +%s) + begun))
  fi
  [ $code -eq 0 ] || failed=1
  parts="$parts${parts:+,}
    {\"part\": \"$what\", \"seconds\": $took, \"limit\": $seconds, \"exit_code\": $code}"
  save
  echo "first: $what: exit code $code after $took of $seconds s, $left s left" >&2
}

tests() { # name, seconds, seconds of a class at most, names of classes
  allow "$2"
  what=$1 limit=$3
  shift 3
  part "$what" "$seconds" "$kit/test.sh" --device "$device" --limit "$limit" --seconds "$((seconds - 5))" --report "$what" "$@"
}

compare() { # name, seconds, rounds, milliseconds a round, cases in this order
  allow "$2"
  what=$1 rounds=$3 millis=$4
  shift 4
  part "$what" "$seconds" "$kit/run.sh" --device "$device" --rounds "$rounds" --millis "$millis" --seconds "$((seconds - 15))" "$@"
}

if [ -z "$dry" ]; then
  name=$(probe "$device") || exit 2
  date=$(date -u +%Y-%m-%dT%H:%M:%SZ)
  driver=$(PATH=$PATH:/usr/local/nvidia/bin nvidia-smi --query-gpu=driver_version --format=csv,noheader 2>/dev/null | head -n 1)
  driver=${driver:-unknown}
  save
fi

if [ "$device" = emulator ]; then # the same parts, tiny
  tests driver 120 60 device.CudaTest
  compare products 60 1 0 "matmul 32x64x48-nt bf16" "matmul 32x64x48-tn bf16"
  compare attention 60 1 0 "attn b1h2k1t33d64 bf16" "attn b1h2k1t33d64-backward bf16"
  compare step 60 1 0 "train gpt2-tiny-2x16 bf16"
else
  tests driver 45 30 device.CudaTest CaptureRules LaunchTest
  tests conformance 45 30 Conformance
  tests kernels 100 60 MatmulHopper AttentionHopper AttentionBackwardHopper MatmulCuda AttentionCuda
  # 8192³; then what a step of gpt2-124m multiplies, and layers of 2048 features
  compare products 110 5 10 "matmul 8192x8192x8192-nt bf16" "matmul 8192x8192x8192-nn bf16" "matmul 32768x" "matmul 768x2304x32768-tn bf16" \
    "matmul 3072x768x32768-tn bf16" "matmul 16384x11264x2048" "matmul 16384x2048x5632" "matmul 2048x11264x16384" "matmul 4096x4096x4096-nt bf16"
  compare attention 90 5 10 "attn b8h16k16t4096d128 bf16" "attn b2h16k16t16384d128 bf16" "attn b32h12k12t1024d64 bf16" "attn b4h32k8t4096d128 bf16" \
    "attn b16h32k4t2048d64 bf16" "attn b8h16k16t4096d128-backward bf16" "attn b32h12k12t1024d64-backward bf16" "attn b2h16k16t16384d128-backward bf16"
  compare step 180 3 300 "train gpt2-124m-32x1024 bf16"
fi
[ -n "$dry" ] || echo "written: $summary"
exit $failed
