package dev.javelin.device;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.io.IOException;
import java.lang.management.ManagementFactory;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.HexFormat;
import java.util.Optional;
import org.junit.jupiter.api.Test;

class MachineCodeTest {
  /** mov eax, 42; ret. */
  private static final byte[] FORTY_TWO = HexFormat.of().parseHex("b82a000000c3");

  /** lea rax, [rdi+rsi]; add rax, rdx; add rax, rcx; add rax, r8; add rax, r9; ret. */
  private static final byte[] SUM = HexFormat.of().parseHex("488d04374801d04801c84c01c04c01c8c3");

  private static MachineCode load(byte[] code) {
    String obstacle = MachineCode.obstacle();
    assumeTrue(obstacle == null, () -> "no machine code: " + obstacle);
    Optional<MachineCode> loaded = MachineCode.load(code);
    assumeTrue(loaded.isPresent(), "no machine code: the system refuses executable memory");
    return loaded.orElseThrow();
  }

  @Test
  void aFunctionReturns() {
    assertThat(load(FORTY_TWO).call(0, 0, 0, 0, 0, 0)).isEqualTo(42);
  }

  @Test
  void aFunctionGetsSixArgumentsInOrder() {
    MachineCode sum = load(SUM);
    assertThat(sum.call(1, 20, 300, 4000, 50_000, 600_000)).isEqualTo(654_321);
    assertThat(sum.call(-1, 0, 0, 0, 0, 0)).isEqualTo(-1);
  }

  @Test
  void aCallLeavesNothingOnTheHeap() {
    MachineCode sum = load(SUM);
    var threads = (com.sun.management.ThreadMXBean) ManagementFactory.getThreadMXBean();
    long least = Long.MAX_VALUE;
    long total = 0;
    for (int round = 0; round < 50 && least > 0; round++) {
      long before = threads.getCurrentThreadAllocatedBytes();
      for (int i = 0; i < 1000; i++) {
        total += sum.call(1, 1, 1, 1, 1, 1);
      }
      least = Math.min(least, threads.getCurrentThreadAllocatedBytes() - before);
    }
    assertThat(least).isLessThan(1000); // less than a byte a call
    assertThat(total).isPositive();
  }

  @Test
  void itsPageIsNotWritable() throws IOException {
    long address = load(FORTY_TWO).address();
    String page = "%08x-".formatted(address);
    assertThat(Files.readAllLines(Path.of("/proc/self/maps")))
        .filteredOn(line -> line.startsWith(page))
        .singleElement()
        .asString()
        .contains(" r-xp ");
  }

  @Test
  void aPropertySwitchesItOff() throws Exception {
    assertThat(child("-Djavelin.native=false"))
        .isEqualTo("switched off by -Djavelin.native=false, Optional.empty");
  }

  @Test
  void otherSystemsHaveNone() {
    assertThat(MachineCode.obstacle("", "Linux", "amd64")).isNull();
    assertThat(MachineCode.obstacle("true", "Linux", "amd64")).isNull();
    assertThat(MachineCode.obstacle("", "Linux", "aarch64"))
        .isEqualTo("this is Linux on aarch64, not Linux on x86-64");
    assertThat(MachineCode.obstacle("", "Windows 11", "amd64")).contains("Windows 11 on amd64");
    assertThat(MachineCode.obstacle("", "Mac OS X", "x86_64")).contains("Mac OS X on x86_64");
  }

  /** What a Java of its own with this flag says. */
  private static String child(String flag) throws Exception {
    Path java = Path.of(System.getProperty("java.home"), "bin", "java");
    Process child =
        new ProcessBuilder(
                java.toString(),
                flag,
                "-cp",
                System.getProperty("java.class.path"),
                Child.class.getName())
            .redirectErrorStream(true)
            .start();
    String output = new String(child.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
    child.waitFor();
    return output.strip();
  }

  static final class Child {
    private Child() {}

    public static void main(String[] args) {
      IO.println(MachineCode.obstacle() + ", " + MachineCode.load(FORTY_TWO));
    }
  }
}
