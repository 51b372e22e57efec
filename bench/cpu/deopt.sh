#!/bin/sh
# What the JVM still throws away after warm-up, case by case (fast code throws nothing away):
#   bench/cpu/deopt.sh [--precision fp32|bf16] [--threads 2] [--millis 1000] [--jvm=-XX:UseAVX=2]… [CASE…]
# A CASE is part of a "group name" as bench/cpu/compare.sh prints it. Exit code 1 if there was anything.
set -eu
root=$(CDPATH='' cd -P "$(dirname "$0")/../.." && pwd)
cd "$root"
# shellcheck source=bench/cpu/classpath.sh
. bench/cpu/classpath.sh
exec "${PYTHON:-python3}" bench/cpu/deopt.py --java "$JAVA_HOME/bin/java" --classpath "$classpath" "$@"
