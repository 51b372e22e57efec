package dev.javelin.kernels.cuda;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.io.IOException;
import java.io.InputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** The session in {@code docs/kernels/gdb.md}, typed again. */
class GdbSessionTest {
  private static final String PROMPT = "(gdb) ";
  private static final Path JAVA = Path.of(System.getProperty("java.home"), "bin", "java");

  @Test
  void theSessionRunsAsRecorded(@TempDir Path temp) throws Exception {
    assumeTrue(Gpu.hasEmulator(), "for the emulated device");
    assumeTrue(isThere("gdb") && isThere("g++"), "no gdb or no g++ on PATH");
    Files.copy(Ladder.FOLDER.resolve("matmul_3.cu"), temp.resolve("matmul_3.cu"));
    run(
        Map.of("JAVELIN_EMULATOR_CXXFLAGS", "-O0 -g3"),
        List.of(
            JAVA.toString(),
            "../native/src/build/java/CompileCuda.java",
            temp.toString(),
            temp.toString(),
            temp.resolve("work").toString(),
            "../native/src/main/cpp/emulator",
            "--images",
            "emulator:unchecked",
            "--include",
            "src/main/cuda"));
    Path driver = temp.resolve("libcuda.so.1");
    try (InputStream in =
        getClass().getResourceAsStream("/dev/javelin/device/emulator/libcuda.so.1")) {
      Files.copy(Objects.requireNonNull(in), driver);
    }
    List<String> session =
        Files.readAllLines(Path.of("../docs/kernels/gdb.md")).stream()
            .filter(l -> l.startsWith(PROMPT) || l.startsWith("$") || l.matches("\\d+\t.*"))
            .toList();
    List<String> commands = new ArrayList<>(List.of("gdb -q -nx --batch".split(" ")));
    for (String set :
        List.of(
            "set pagination off",
            "handle SIGSEGV nostop noprint pass",
            "set breakpoint pending on",
            "set trace-commands on")) {
      commands.addAll(List.of("-ex", set));
    }
    for (String line : session) {
      if (line.startsWith(PROMPT)) {
        commands.addAll(List.of("-ex", line.substring(PROMPT.length())));
      }
    }
    commands.addAll(
        List.of(
            "--args",
            JAVA.toString(),
            "-XX:+UseSerialGC",
            "-XX:TieredStopAtLevel=1",
            "-Djavelin.emulator=" + driver,
            "--enable-native-access=ALL-UNNAMED",
            "-cp",
            System.getProperty("java.class.path"),
            "../docs/kernels/ladder/Step.java",
            temp.resolve("matmul_3.emu.so").toString()));
    List<String> said = run(Map.of(), commands).lines().toList();
    assumeTrue(
        said.stream().noneMatch(l -> l.contains("ptrace: Operation not permitted")),
        "gdb may not trace processes here");
    List<String> recorded = session.stream().filter(l -> !l.startsWith(PROMPT)).toList();
    assertThat(said.stream().filter(l -> l.startsWith("$") || l.matches("\\d+\t.*")).toList())
        .as(String.join("\n", said))
        .isEqualTo(recorded);
  }

  private static String run(Map<String, String> environment, List<String> command)
      throws IOException, InterruptedException {
    ProcessBuilder builder = new ProcessBuilder(command).redirectErrorStream(true);
    builder.environment().putAll(environment);
    Process process = builder.start();
    process.getOutputStream().close();
    String said = new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
    assertThat(process.waitFor()).as(said).isZero();
    return said;
  }

  private static boolean isThere(String program) {
    return Stream.of(System.getenv("PATH").split(":"))
        .anyMatch(folder -> Files.isExecutable(Path.of(folder, program)));
  }
}
