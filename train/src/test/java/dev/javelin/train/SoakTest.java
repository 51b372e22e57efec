package dev.javelin.train;

import static org.assertj.core.api.Assertions.assertThat;

import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.condition.EnabledOnOs;
import org.junit.jupiter.api.condition.OS;
import org.junit.jupiter.api.io.TempDir;

/** What runs take does not grow with steps, nor with runs. */
@EnabledOnOs(OS.LINUX) // whose /proc says what a process takes
class SoakTest {
  private static final int RESIDENT = 0;
  private static final int HEAP = 1;
  private static final int FILES = 2;
  private static final int THREADS = 3;

  @TempDir Path dir;

  @Test
  void someStepsAndCycles() throws Exception {
    soak(2000, 20);
  }

  @Test
  @Tag("long")
  void aHundredThousandStepsAndThreeHundredCycles() throws Exception {
    soak(100_000, 300);
  }

  private void soak(int steps, int cycles) throws Exception {
    Process child =
        new ProcessBuilder(
                Path.of(System.getProperty("java.home"), "bin", "java").toString(),
                "--add-modules",
                "jdk.incubator.vector",
                "--enable-native-access=ALL-UNNAMED",
                "-XX:+UseSerialGC",
                "-Xms64m",
                "-Xmx64m",
                "-cp",
                System.getProperty("java.class.path"),
                Soak.class.getName(),
                Integer.toString(steps),
                Integer.toString(cycles),
                dir.toString())
            .redirectErrorStream(true)
            .start();
    String output = new String(child.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
    assertThat(child.waitFor()).as(output).isZero();
    for (String phase : List.of("run", "cycle")) {
      List<long[]> samples = samples(output, phase);
      assertThat(samples).as(phase).hasSizeGreaterThanOrEqualTo(20);
      String all = phase + "\n" + output;
      // The compiler's code and its memory come at first; after that, the line must be flat.
      List<long[]> later = samples.subList(samples.size() / 2, samples.size());
      double resident = later.getFirst()[RESIDENT];
      boolean full = steps >= 100_000;
      assertThat(growth(later, RESIDENT)).as(all).isLessThan(resident * (full ? 0.03 : 0.25));
      assertThat(growth(later, HEAP)).as(all).isLessThan(full ? 512 : 2048);
      assertThat(range(later, FILES)).as(all).isLessThanOrEqualTo(4); // a save may be under way
      assertThat(range(later, THREADS)).as(all).isLessThanOrEqualTo(2);
    }
  }

  private static List<long[]> samples(String output, String phase) {
    List<long[]> samples = new ArrayList<>();
    for (String line : output.lines().filter(l -> l.startsWith(phase + ",")).toList()) {
      String[] parts = line.split(",", -1);
      long[] sample = new long[parts.length - 2];
      for (int i = 0; i < sample.length; i++) {
        sample[i] = Long.parseLong(parts[i + 2]);
      }
      samples.add(sample);
    }
    return samples;
  }

  /** From the first to the last, along the line of least squares. */
  private static double growth(List<long[]> samples, int which) {
    int n = samples.size();
    double middle = (n - 1) / 2.0;
    double above = 0;
    double below = 0;
    for (int i = 0; i < n; i++) {
      above += (i - middle) * samples.get(i)[which];
      below += (i - middle) * (i - middle);
    }
    return above / below * (n - 1);
  }

  private static long range(List<long[]> samples, int which) {
    long min = Long.MAX_VALUE;
    long max = 0;
    for (long[] sample : samples) {
      min = Math.min(min, sample[which]);
      max = Math.max(max, sample[which]);
    }
    return max - min;
  }
}
