#!/bin/sh
# Our tokenizers against Hugging Face's (ai.djl.huggingface:tokenizers) in one JVM, one thread each:
# bench/cpu/tokenizers.sh TEXT TOKENIZER_JSON…      TEXT: documents with empty lines between them
set -eu
root=$(CDPATH='' cd -P "$(dirname "$0")/../.." && pwd)
[ $# -ge 2 ] || { sed -n 2,3p "$0" | cut -c3- >&2; exit 2; }
JAVA_HOME=$("$root/javelin" --java-home)
export JAVA_HOME
peer=$root/bench/target/tokenizers-peer
[ -d "$peer" ] || mvn -q -B -f "$root/bench/cpu/tokenizers-pom.xml" dependency:copy-dependencies -DoutputDirectory="$peer" >&2
classpath="$peer/*"
for module in native kernels tensor autograd nn train; do
  [ -d "$root/$module/target/classes" ] || { echo "tokenizers.sh: run ./javelin doctor once, which builds the program" >&2; exit 2; }
  classpath=$classpath:$root/$module/target/classes
done
export TOKENIZERS_PARALLELISM=false RAYON_NUM_THREADS=1
exec "$JAVA_HOME/bin/java" --enable-native-access=ALL-UNNAMED -cp "$classpath" "$root/bench/cpu/TokenizerSpeed.java" "$@"
