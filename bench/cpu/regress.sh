#!/bin/sh
# What got slower between two commits, on this machine:
#   bench/cpu/regress.sh [--pairs 16] [--threads 2] [--millis 200] [--threshold 0.03] BASE [HEAD] [CASE…]
# BASE and HEAD are commits (HEAD by default). A CASE is quoted, as bench/cpu/compare.sh prints it: "op softmax-3072x64".
# Builds both in folders of their own, runs them in the order A B B A …, and prints each case's ratio with its interval.
# Exit code 1: something is slower beyond noise and threshold. Sixteen pairs of the usual cases take about half an hour.
set -eu
root=$(CDPATH='' cd -P "$(dirname "$0")/../.." && pwd)
usage() { sed -n 2,6p "$0" | cut -c3- >&2; exit 2; }

options=
while [ $# -gt 0 ]; do
  case $1 in
    --pairs | --threads | --millis | --threshold) [ $# -ge 2 ] || usage; options="$options $1 $2"; shift 2 ;;
    -*) usage ;;
    *) break ;;
  esac
done
[ $# -ge 1 ] || usage
base=$1 && shift
head=HEAD
case ${1:-} in '' | *' '*) ;; *) head=$1 && shift ;; esac

JAVA_HOME=$("$root/javelin" --java-home)
export JAVA_HOME
work=$(mktemp -d)
# shellcheck disable=SC2329
clean() { for side in base head; do git -C "$root" worktree remove --force "$work/$side" 2>/dev/null || true; done; rm -rf "$work"; }
trap clean EXIT
trap 'exit 2' INT TERM

build() { # side commit
  git -C "$root" worktree add -q --detach "$work/$1" "$2" || exit 2
  echo "building $1: $(git -C "$work/$1" log -1 --format='%h %s')" >&2
  (cd "$work/$1" && mvn -q -B -Dspotless.check.skip -Dmaven.test.skip -Djavelin.unchecked -Djavelin.gpu=none -Djavelin.emulator=none compile) >&2 || exit 2
}
classpath() { # side
  for module in native kernels tensor autograd nn train train/cli bench; do printf '%s:' "$work/$1/$module/target/classes"; done
}
build base "$base"
build head "$head"
code=0
# shellcheck disable=SC2086
"$JAVA_HOME/bin/java" "$root/bench/src/main/java/dev/javelin/bench/Regress.java" \
  --base "$(classpath base)" --head "$(classpath head)" $options "$@" >"$work/table" || code=$?
cat "$work/table"
# A JVM that fails ends with 1, too: without a table there is no result.
[ "$code" -ne 1 ] || grep -q 'cases moved' "$work/table" || code=2
exit "$code"
