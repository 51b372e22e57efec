#!/bin/sh
# The JMH benchmarks of products, attention, norms, activations, losses, optimizers, tokenizers, launches and steps:
#   bench/jmh.sh -l                                    lists them
#   bench/jmh.sh Norm                                  all whose name contains that; two JVMs of ten seconds for each case
#   bench/jmh.sh Norm -p op=rmsnorm -p shape=768x128   one case
#   bench/jmh.sh Matmul -p precision=bf16 -p threads=1 other types and threads (not of steps)
#   bench/jmh.sh Loss -f 1 -wi 2 -i 3                  quick: one JVM, fewer seconds
#   bench/jmh.sh Norm -rf json -rff target/norm.json   results as a file
#   bench/jmh.sh -h                                    all arguments of JMH
# How to add one: bench/README.md. Run it on an idle machine.
set -eu
case ${1:-} in '' | --help) sed -n '2,/^set -eu/{/^set -eu/d;s/^# \{0,1\}//;p;}' "$0"; exit 0 ;; esac
root=$(CDPATH='' cd -P "$(dirname "$0")/.." && pwd)
cd "$root"
JAVA_HOME=$(./javelin --java-home)
export JAVA_HOME
mvn -q -B -Dspotless.check.skip -pl bench -am test-compile dependency:build-classpath \
  -Dmdep.outputFile=target/classpath -Dmdep.includeScope=runtime >&2
# JMH reaches for Unsafe, of which a JDK 25 warns; its forks have the same flags.
exec "$JAVA_HOME/bin/java" --sun-misc-unsafe-memory-access=allow -cp "bench/target/classes:$(cat bench/target/classpath)" org.openjdk.jmh.Main "$@"
