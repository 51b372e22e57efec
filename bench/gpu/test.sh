#!/bin/sh
# The tests of the CUDA device: ./test.sh [--device cuda|cuda:N|emulator] [--sanitizer TOOL] [--limit SECONDS] [--seconds SECONDS] [--report NAME] [NAME…]
# From a packed kit (pack.sh). Each class in a process of its own; NAME… picks classes whose names contain one of them.
# --sanitizer runs under compute-sanitizer: memcheck, racecheck, synccheck or initcheck.
# --limit ends a class that takes longer: 120 seconds on a GPU, 600 under compute-sanitizer, none on the emulated device (0).
# --seconds ends them all: a class that still runs is stopped, and no other is begun.
# The report goes to $OUT/tests-DEVICE.txt, or tests-DEVICE-NAME.txt (results/ where OUT is not set), class by class. Exit code 0 when all passed.
set -u
# shellcheck source=common.sh
. "$(dirname "$0")/common.sh"

device=cuda
sanitizer=
limit=
part=
end=
while [ $# -gt 0 ]; do
  case $1 in
    --device) [ $# -gt 1 ] || die "--device needs cuda, cuda:N or emulator"; device=$2; shift 2 ;;
    --sanitizer) [ $# -gt 1 ] || die "--sanitizer needs memcheck, racecheck, synccheck or initcheck"; sanitizer=$2; shift 2 ;;
    --limit) [ $# -gt 1 ] || die "--limit needs seconds"; limit=$2; shift 2 ;;
    --seconds) [ $# -gt 1 ] || die "--seconds needs seconds"; end=$(($(date +%s) + $2)); shift 2 ;;
    --report) [ $# -gt 1 ] || die "--report needs a name"; part=$2; shift 2 ;;
    -h | --help) sed -n '2,7s/^# //p' "$0"; exit 0 ;;
    -*) die "unknown option $1" ;;
    *) break ;;
  esac
done
name=$(probe "$device") || exit 2

sanitize= # the words before java; a class may use no CUDA at all (all skipped), and the stack of compiled Java says nothing
if [ -n "$sanitizer" ]; then
  PATH=$PATH:/usr/local/cuda/bin:/usr/local/cuda/compute-sanitizer
  command -v compute-sanitizer >/dev/null || die "compute-sanitizer is neither on PATH nor in /usr/local/cuda/bin"
  sanitize="compute-sanitizer --tool $sanitizer --require-cuda-init no --show-backtrace device --print-limit 20 --error-exitcode 9"
  [ "$sanitizer" != memcheck ] || sanitize="$sanitize --report-api-errors no" # tests provoke errors of the driver's interface and expect them
fi
if [ -z "$limit" ]; then
  limit=120
  [ -z "$sanitizer" ] || limit=600
  [ "$device" != emulator ] || limit=0
fi
within() { # ends a command, with all that it started, after so many seconds: exit code 124 or 137
  if [ "$1" -gt 0 ] && command -v timeout >/dev/null; then timeout -k 5 "$@"; else shift && "$@"; fi
}
run() { # Java within so many seconds, under compute-sanitizer where that is asked for
  seconds=$1
  shift
  # shellcheck disable=SC2086
  within "$seconds" $sanitize "$runtime/bin/java" -XX:+UseSerialGC -XX:+ErrorFileToStdout -XX:-CreateCoredumpOnCrash -Djava.library.path="$runtime/lib" -cp "$classpath" "$@"
}
answers() { run 60 dev.javelin.bench.GpuCompare --device "$device" --probe; }
[ -z "$sanitizer" ] || said=$(answers 2>&1) || die "compute-sanitizer does not work on this device: $said"
report=$results/tests-$(echo "$device${sanitizer:+-$sanitizer}${part:+-$part}" | tr : -).txt
log=$results/.class.$$
trap 'rm -f "$log"; [ -z "$temporary" ] || rm -rf "$temporary"' EXIT

say() { echo "$*" | tee -a "$report"; }
: >"$report"
say "$name; commit $(cat "$kit/COMMIT"), $(date -u +%Y-%m-%dT%H:%M:%SZ)${sanitizer:+, $sanitizer}"

wanted() { # a class, then the names to look for
  class=$1
  shift
  [ $# -gt 0 ] || return 0
  for n in "$@"; do case $class in *"$n"*) return 0 ;; esac; done
  return 1
}

passed=0 failed=0 skipped=0 classes=0 bad= stuck= late=
while read -r module class; do
  wanted "$class" "$@" || continue
  begun=$(date +%s)
  atmost=$limit
  if [ -n "$end" ]; then
    [ "$begun" -lt "$end" ] || { late="$late $class"; continue; }
    [ "$limit" -gt 0 ] && [ "$limit" -le $((end - begun)) ] || atmost=$((end - begun))
  fi
  classes=$((classes + 1))
  cd "$runtime/modules/$module" 2>/dev/null || cd "$checkout/$module" || exit 2
  run "$atmost" -Djavelin.test.device="$device" dev.javelin.bench.RunTests "$class" >"$log" 2>&1 </dev/null
  code=$?
  took=$(($(date +%s) - begun))
  numbers=$(grep -E '^[0-9]+ [0-9]+ [0-9]+$' "$log" | tail -n 1)
  read -r p f s <<END
${numbers:-0 1 0}
END
  if [ $code -ne 0 ] && [ "$f" -eq 0 ]; then f=1; fi
  case $code in
    124 | 137) echo "ended after $atmost seconds, in: $(grep '^> ' "$log" | tail -n 1 | cut -c3-)" >>"$log" ;;
  esac
  passed=$((passed + p)) failed=$((failed + f)) skipped=$((skipped + s))
  if [ "$f" -gt 0 ]; then
    bad="$bad $class"
    say "FAILED  $class: $p passed, $f failed, $s skipped, exit code $code, $took s"
    grep -vE 'incubator modules|^> ' "$log" | tee -a "$report" | sed -n '1,60p'
  else
    say "ok      $class: $p passed, $s skipped, $took s"
    grep -vE 'incubator modules|^> |^[0-9]+ [0-9]+ [0-9]+$' "$log" >>"$report"
  fi
  case $code in # a GPU that a hanging kernel keeps answers nobody
    124 | 137) answers >/dev/null 2>&1 || { stuck=1; break; } ;;
  esac
done <"$kit/tests"

[ -n "$late" ] || [ $classes -gt 0 ] || die "no test class matches: $*"
[ -z "$bad" ] || say "failed:$bad"
[ -z "$late" ] || say "no time was left for:$late"
[ -z "$stuck" ] || say "stopped there: the device does not answer any more"
say "$device: $classes classes, $passed passed, $failed failed, $skipped skipped"
echo "written: $report"
[ $failed -eq 0 ] && [ -z "$late" ]
