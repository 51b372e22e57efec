#!/bin/sh
# The JMH benchmarks: bench/jmh.sh [JMH arguments], e.g. bench/jmh.sh -l, bench/jmh.sh Softmax -p shape=3072x64 -f 1
set -eu
root=$(CDPATH='' cd -P "$(dirname "$0")/.." && pwd)
cd "$root"
JAVA_HOME=$(./javelin --java-home)
export JAVA_HOME
mvn -q -B -Dspotless.check.skip -pl bench -am test-compile dependency:build-classpath \
  -Dmdep.outputFile=target/classpath -Dmdep.includeScope=runtime >&2
# JMH reaches for Unsafe, of which a JDK 25 warns; its forks have the same flags.
exec "$JAVA_HOME/bin/java" --sun-misc-unsafe-memory-access=allow -cp "bench/target/classes:$(cat bench/target/classpath)" org.openjdk.jmh.Main "$@"
