# Sourced by test.sh and run.sh: the kit's folder, its Java, the flags both have.
kit=$(CDPATH='' cd -P "$(dirname "$0")" && pwd)
tool=$(basename "$0" .sh)
die() { echo "$tool: $*" >&2; exit 2; }

checkout=${CHECKOUT:-} # golden data is there where the kit is packed without
# Started in a checkout: the kit that was packed there, and results where those that are kept lie.
if [ ! -f "$kit/COMMIT" ] && [ -f "$kit/../../target/gpu-kit/COMMIT" ]; then
  checkout=$(CDPATH='' cd -P "$kit/../.." && pwd)
  export CHECKOUT="$checkout"
  OUT=${OUT:-$checkout/bench/results/h200}
  kit=$(CDPATH='' cd -P "$kit/../../target/gpu-kit" && pwd)
fi
[ -f "$kit/runtime.tar.gz" ] && [ -f "$kit/COMMIT" ] || die "$kit is no packed kit: run bench/gpu/pack.sh and start $tool.sh from the folder it makes"

# The runtime lies beside the scripts, whole or not at all; in a temporary folder where that cannot be written.
runtime=$kit/runtime
temporary=
if [ ! -x "$runtime/bin/java" ]; then
  temporary=$(mktemp -d "$kit/unpack.XXXXXX" 2>/dev/null || mktemp -d) || die "no folder to unpack the Java runtime into"
  trap 'rm -rf "$temporary"' EXIT
  tar -xzf "$kit/runtime.tar.gz" -C "$temporary" || die "cannot unpack the Java runtime"
  mv "$temporary/runtime" "$runtime" 2>/dev/null || runtime=$temporary/runtime
fi

results=${OUT:-$kit/results}
mkdir -p "$results" || die "cannot write to $results; set OUT to a folder"
results=$(CDPATH='' cd -P "$results" && pwd)

# The driver, where it is mounted aside from the folders that the loader knows.
for folder in /usr/local/nvidia/lib64 /usr/local/nvidia/lib; do
  [ ! -e "$folder/libcuda.so.1" ] || export LD_LIBRARY_PATH="${LD_LIBRARY_PATH:+$LD_LIBRARY_PATH:}$folder"
done

classpath=
for jar in "$kit"/lib/*.jar; do classpath=$classpath:$jar; done
classpath=${classpath#:}

java() { "$runtime/bin/java" -XX:+UseSerialGC -Djava.library.path="$runtime/lib" -cp "$classpath" "$@"; }

probe() { # prints the device's name, or why there is none
  java dev.javelin.bench.GpuCompare --device "$1" --probe
}
