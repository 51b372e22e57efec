#!/bin/sh
# Writes docs/kernels/predicted.md: the least time of each benchmarked case on three cards, and the time that a model of
# the kernels' pipelines expects on an H200: bench/predict.sh
set -eu
root=$(CDPATH='' cd -P "$(dirname "$0")/.." && pwd)
cd "$root"
JAVA_HOME=$(./javelin --java-home)
export JAVA_HOME
mvn -q -B -Dspotless.check.skip -pl bench -am test-compile dependency:build-classpath \
  -Dmdep.outputFile=target/classpath -Dmdep.includeScope=runtime >&2
exec "$JAVA_HOME/bin/java" --add-modules jdk.incubator.vector --enable-native-access=ALL-UNNAMED \
  -cp "bench/target/classes:$(cat bench/target/classpath)" dev.javelin.bench.Predict .
