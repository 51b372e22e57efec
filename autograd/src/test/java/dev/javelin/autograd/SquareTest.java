package dev.javelin.autograd;

import static dev.javelin.autograd.Tape.inputs;
import static java.nio.charset.StandardCharsets.UTF_8;
import static org.assertj.core.api.Assertions.assertThat;

import dev.javelin.device.RequiresEmulator;
import dev.javelin.tensor.Tensor;
import dev.javelin.tensor.op.Square;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** The operator that docs/handbook/add-an-operator.md adds. */
class SquareTest {
  private static final Path IMAGES = Path.of("target/test-classes/dev/javelin/kernels/cuda");

  @TempDir static Path dir;

  static Var square(Var x) {
    Tensor y = x.like();
    Square.forward(y, x.value());
    return x.tape()
        .record("square", y, inputs(x), out -> Square.backward(x.grad(), out.dy(), x.value()));
  }

  private static OpCheck check(int rows, int cols) {
    return OpCheck.of("square", in -> square(in[0]))
        .input("x", rows, cols)
        .oracle(in -> Arrays.stream(in[0]).map(x -> x * x).toArray());
  }

  @ParameterizedTest
  @CsvSource({"1,1", "2,7", "3,33", "33,127", "5,1000"})
  void matchesItsFormulaAndItsDerivative(int rows, int cols) {
    check(rows, cols).run();
  }

  @Test
  @Tag("long") // the compiler takes seconds
  @RequiresEmulator
  void itsKernelsToo() throws Exception {
    compileItsKernels();
    check(3, 33).cuda().run();
    check(5, 1000).cuda().run();
  }

  /** What the build does for kernels/src/main/cuda: the image lies beside the classes. */
  private static void compileItsKernels() throws Exception {
    Files.createDirectories(IMAGES);
    Process compiler =
        new ProcessBuilder(
                Path.of(System.getProperty("java.home"), "bin", "java").toString(),
                "../native/src/build/java/CompileCuda.java",
                "src/test/cuda",
                IMAGES.toString(),
                dir.resolve("work").toString(),
                "../native/src/main/cpp/emulator",
                "--include",
                "../kernels/src/main/cuda",
                "--images",
                System.getProperty("javelin.emulator.check") != null
                    ? "emulator"
                    : "emulator:unchecked")
            .redirectErrorStream(true)
            .start();
    String said = new String(compiler.getInputStream().readAllBytes(), UTF_8);
    assertThat(compiler.waitFor()).as(said).isZero();
  }

  @AfterAll
  static void forget() throws IOException {
    for (String image : List.of("square.emu.so", "square.check.so")) {
      Files.deleteIfExists(IMAGES.resolve(image));
    }
  }
}
