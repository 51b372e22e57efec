package dev.javelin.cli;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import dev.javelin.cli.CommandLineTest.Result;
import dev.javelin.device.TestCuda;
import dev.javelin.train.trace.KernelTrace;
import dev.javelin.train.trace.TracedKernel;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** {@code javelin kernel}, and what its page shows. */
class KernelCommandTest {
  private static final Path PAGE = Path.of("../../docs/kernels/trace.md");
  private static final Pattern RUN =
      Pattern.compile(
          "^```\\n[$] [.]/javelin (kernel [^\\n]*)\\n(.*?)^```$",
          Pattern.MULTILINE | Pattern.DOTALL);

  @TempDir Path dir;

  private static void requireEmulator() {
    assumeTrue(
        TestCuda.isEmulated() && KernelTrace.isAvailable(),
        "this build has no emulated device with checked kernels");
  }

  @Test
  void thePageShowsWhatTheCommandPrints() throws IOException {
    requireEmulator();
    Matcher m = RUN.matcher(Files.readString(PAGE));
    int runs = 0;
    for (; m.find(); runs++) {
      Result r = CommandLineTest.run(m.group(1).split(" "));
      assertThat(r.exit()).as(r.err()).isZero();
      assumeTrue(!r.out().contains("(no source line)"), "no addr2line on PATH");
      if (m.group(2).endsWith("\n…\n")) { // the page leaves out the rest
        assertThat(r.out()).startsWith(m.group(2).replaceFirst("…\n$", ""));
      } else {
        assertThat(r.out()).isEqualTo(m.group(2));
      }
    }
    assertThat(runs).isEqualTo(2);
  }

  @Test
  void theListHasEachKernelOnALine() {
    Result r = CommandLineTest.run("kernel", "--list");
    assertThat(r.exit()).as(r.err()).isZero();
    List<String> names = r.out().lines().map(l -> l.split(" ")[0]).toList();
    assertThat(names).isEqualTo(TracedKernel.ALL.stream().map(TracedKernel::name).toList());
    assertThat(r.out()).contains("c = a · b; a [R, K], b [K, C], c [R, C]; R = 64, C = 64, K = 16");
  }

  @Test
  void aTraceMayGoToAFile() {
    requireEmulator();
    Path file = dir.resolve("trace.txt");
    Result r =
        CommandLineTest.run(
            "kernel", "--trace=silu", "--rows=1", "--cols=8", "--dtype=bf16", "--out=" + file);
    assertThat(r.exit()).as(r.err()).isZero();
    assertThat(r.out()).isEmpty();
    assertThat(file).content().contains("on y bf16 [1, 8], x bf16 [1, 8]", "read x[0, 0..7]");
  }

  @Test
  void whatDoesNotFitIsNamed() {
    error("nothing", "--list shows all");
    error("no such kernel", "did you mean softmax?", "--trace=sofmax");
    error("no rows", "--rows must be at least 1", "--trace=softmax", "--rows=0");
    error("too many", "at most 1048576 elements", "--trace=softmax", "--rows=2000", "--cols=2000");
    error("no type", "fp32, bf16 or fp16", "--trace=softmax", "--dtype=fp8");
    requireEmulator();
    error("no block", "--block must be 0 (", "--trace=softmax", "--block=1");
    error("no thread", "--thread must be from 0 to 127 (", "--trace=softmax", "--thread=128");
  }

  private static void error(String what, String message, String... arguments) {
    String[] all = new String[arguments.length + 1];
    all[0] = "kernel";
    System.arraycopy(arguments, 0, all, 1, arguments.length);
    Result r = CommandLineTest.run(all);
    assertThat(r.exit()).as(what).isEqualTo(2);
    assertThat(r.err().lines()).as(what).singleElement().asString().contains(message);
  }
}
