# shellcheck shell=sh
# For scripts in this folder, from the root: sets JAVA_HOME and classpath, and compiles what is stale.
JAVA_HOME=$(./javelin --java-home)
export JAVA_HOME PYTHONDONTWRITEBYTECODE=1

classpath=
for module in native kernels tensor autograd nn train train/cli bench; do classpath=$classpath:$PWD/$module/target/classes; done
classpath=${classpath#:}
compiled=bench/target/classes/dev/javelin/bench/Compare.class
if [ ! -e "$compiled" ] || [ -n "$(find ./*/src/main ./train/cli/src/main -name '*.java' -newer "$compiled" 2>/dev/null | head -1)" ]; then
  mvn -q -B -Dspotless.check.skip -Dmaven.test.skip -Djavelin.unchecked -Djavelin.gpu=none -Djavelin.emulator=none compile >&2
  touch "$compiled"
fi
