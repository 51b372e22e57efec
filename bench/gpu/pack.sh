#!/usr/bin/env bash
# Packs the GPU kit: bench/gpu/pack.sh [--lean] [FOLDER]   (default: target/gpu-kit)
# --lean leaves out golden data, which is then read from the checkout that the scripts are started in.
# A folder with a Java runtime, our classes and tests, kernels and the emulated device, for a machine that has an NVIDIA driver and
# nothing else of ours. Needs no network once `./javelin verify` has run here. What then to do is in docs/gpu-kit.md.
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
lean=
[ "${1:-}" != --lean ] || { lean=1; shift; }
kit=${1:-$root/target/gpu-kit}
max_megabytes=90
[ -z "$lean" ] || max_megabytes=63
die() { echo "pack: $*" >&2; exit 1; }

JAVA_HOME=$("$root/javelin" --java-home)
export JAVA_HOME
[ "$(uname -s)-$(uname -m)" = Linux-x86_64 ] || die "the kit is for Linux on x86-64, this is $(uname -s) on $(uname -m)"
if [ -e "$kit" ]; then
  [ -f "$kit/COMMIT" ] || die "$kit exists and is no kit: name another folder"
  rm -rf "$kit"
fi
mkdir -p "$kit/lib"
: >"$kit/COMMIT"
kit=$(cd "$kit" && pwd)
cd "$root"

# 1. Classes, tests, fatbins, images for the emulated device.
echo "pack: building …" >&2
log=$root/target/gpu-kit.log
mkdir -p target
mvn -o -q -B -Dspotless.check.skip test-compile dependency:build-classpath -Dmdep.outputFile=target/test.classpath >"$log" 2>&1 ||
  { cat "$log" >&2; die "the build failed (above); if artifacts are missing, run ./javelin verify once with a network"; }
ls kernels/target/classes/dev/javelin/kernels/cuda/*.fatbin >/dev/null 2>&1 ||
  echo "pack: no fatbins (no nvcc here): this kit can only use the emulated device" >&2

# 2. Jars: ours, by module, and what they need; of JCuda's natives the driver binding alone, of charts nothing.
jar=$JAVA_HOME/bin/jar
for module in native native/emulator kernels tensor autograd nn train train/text train/cli bench; do
  "$jar" -c -f "$kit/lib/javelin-${module##*/}.jar" -C "$module/target/classes" .
  if [ -d "$module/target/test-classes" ] && ls "$module/target/test-classes" | grep -qvx golden; then
    (cd "$module/target/test-classes" && "$jar" -c -f "$kit/lib/javelin-${module##*/}-tests.jar" $(ls | grep -vx golden)) # golden files: below
  fi
done
natives=
while read -r file; do
  case $file in
    */target/*) ;;
    *archunit* | *jmh* | *jopt-simple* | *commons-math* | *xchart* | *VectorGraphics* | *vectorgraphics* | *pdfbox* | *fontbox* | *animated-gif* | *lucene*) ;;
    *jcuda-natives*) natives=$file ;;
    */zstd-jni*.jar) # its natives of 20 platforms, of which one is needed
      mkdir "$kit/zstd"
      (cd "$kit/zstd" && "$jar" -x -f "$file" META-INF com linux/amd64 && "$jar" -c -f "$kit/lib/$(basename "$file")" .)
      rm -rf "$kit/zstd"
      ;;
    *.jar) cp "$file" "$kit/lib/" ;;
  esac
done < <(tr : '\n' <bench/target/test.classpath)
[ -n "$natives" ] || die "no jcuda-natives among the test dependencies of bench"

# 3. The runtime, with what else is to be packed tightly and unpacked at first use: raw modules, since they pack better; the driver binding.
"$JAVA_HOME/bin/jlink" --add-modules java.base,java.logging,java.management,java.net.http,java.xml,java.instrument,jdk.incubator.vector,jdk.jfr,jdk.management,jdk.unsupported \
  --vm server --strip-debug --no-header-files --no-man-pages --compress zip-0 \
  --add-options="--add-modules=jdk.incubator.vector --enable-native-access=ALL-UNNAMED" --output "$kit/runtime"
strip "$kit/runtime/lib/server/libjvm.so" 2>/dev/null || true # 5 MB of names that only a debugger reads
(cd "$kit/runtime" && "$jar" -x -f "$natives" lib/libJCudaDriver-12.6.0-linux-x86_64.so)
[ -f "$kit/runtime/lib/libJCudaDriver-12.6.0-linux-x86_64.so" ] || die "$natives holds no libJCudaDriver"

# 4. The test classes that use a CUDA device, by what their class files name, be it through helpers; and golden data, which is read as files
#    from a module's folder.
modules='native kernels tensor autograd nn train train/cli'
marks='dev/javelin/device/(RequiresCuda|RequiresEmulator|TestCuda|TestMachine)'
uses=$marks
users() { # the test classes of a module that name one of `uses`, without what is nested in them
  [ ! -d "$1/target/test-classes" ] ||
    (cd "$1/target/test-classes" && grep -rlE "$uses" --include='*.class' . || true) | sed -e 's|^\./||' -e 's|\$.*||' -e 's|\.class$||' | sort -u
}
while :; do # until no helper is new
  helpers=$(for module in $modules; do users "$module"; done | grep -v 'Test$' | sort -u | paste -sd '|')
  found="$marks|$helpers"
  [ "$found" != "$uses" ] || break
  uses=$found
done
for module in $modules; do
  [ -n "$lean" ] || mkdir -p "$kit/runtime/modules/$module/src/test"
  [ -n "$lean" ] || [ ! -d "$module/src/test/resources" ] || cp -r "$module/src/test/resources" "$kit/runtime/modules/$module/src/test/"
  users "$module" | grep 'Test$' | tr / . | sed "s|^|$module |" || true
done >"$kit/tests"
[ -s "$kit/tests" ] || die "found no test that uses a CUDA device"

tar -C "$kit" -cf - runtime | gzip -9 >"$kit/runtime.tar.gz"
rm -rf "$kit/runtime"

# 5. The scripts, PyTorch's side, and where all this is from.
cp bench/gpu/test.sh bench/gpu/run.sh bench/gpu/first.sh bench/gpu/common.sh bench/peers/torch_peer.py "$kit/"
commit=$(git rev-parse --short HEAD 2>/dev/null || echo unknown)
[ -z "$(git status --porcelain -uno -- . ':!docs' 2>/dev/null)" ] || commit=$commit-changed
echo "$commit" >"$kit/COMMIT"

size=$(du -sm --apparent-size "$kit" | cut -f1)
[ "$size" -le "$max_megabytes" ] || die "$kit has $size MB, more than $max_megabytes"
echo "pack: $kit, $size MB, commit $commit, $(wc -l <"$kit/tests") test classes"
