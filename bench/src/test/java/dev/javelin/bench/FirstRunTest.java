package dev.javelin.bench;

import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import dev.javelin.device.DType;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import java.util.List;
import java.util.regex.Pattern;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.condition.EnabledOnOs;
import org.junit.jupiter.api.condition.OS;
import org.junit.jupiter.api.io.TempDir;

/**
 * {@code run.sh --first} in a kit whose Java, tests and comparisons are shells that say they ran.
 */
@EnabledOnOs(OS.LINUX)
class FirstRunTest {
  private static final int MOST_SECONDS = 600;

  @TempDir Path kit;
  private Path calls;

  @BeforeEach
  void pack() throws IOException {
    calls = kit.resolve("calls");
    Path scripts = Path.of("gpu");
    for (String name : List.of("first.sh", "run.sh", "common.sh")) {
      Files.copy(scripts.resolve(name), kit.resolve(name));
    }
    executable(kit.resolve("first.sh"), Files.readString(kit.resolve("first.sh")));
    Files.writeString(kit.resolve("COMMIT"), "abc\n");
    Files.writeString(kit.resolve("runtime.tar.gz"), "");
    Files.createDirectories(kit.resolve("runtime/bin"));
    executable(kit.resolve("runtime/bin/java"), "echo 'NVIDIA H200'\n");
    executable(kit.resolve("test.sh"), "echo \"test $OUT $*\" >> " + calls + "\n");
  }

  private static void executable(Path file, String script) throws IOException {
    Files.writeString(file, script.startsWith("#!") ? script : "#!/bin/sh\n" + script);
    Files.setPosixFilePermissions(file, PosixFilePermissions.fromString("rwxr-xr-x"));
  }

  private int first(Path out, String... arguments) throws IOException, InterruptedException {
    ProcessBuilder builder =
        new ProcessBuilder("/bin/sh", kit.resolve("first.sh").toString())
            .redirectErrorStream(true)
            .redirectOutput(kit.resolve("said").toFile());
    builder.command().addAll(List.of(arguments));
    builder.environment().put("OUT", out.toString());
    return builder.start().waitFor();
  }

  @Test
  void partsRunInOrderAndAFailureDoesNotStopThoseAfterIt() throws Exception {
    executable(
        kit.resolve("run.sh"),
        "echo \"run $*\" >> %s\ncase \"$*\" in *attn*) exit 3 ;; esac\n".formatted(calls));
    Path out = kit.resolve("out");
    assertThat(first(out)).as(Files.readString(kit.resolve("said"))).isEqualTo(1);
    JsonNode json = new ObjectMapper().readTree(out.resolve("first.json").toFile());
    assertThat(json.path("commit").asText()).isEqualTo("abc");
    assertThat(json.path("device").asText()).isEqualTo("NVIDIA H200");
    assertThat(json.path("date").asText()).startsWith("20");
    assertThat(json.path("driver").asText()).isNotEmpty();
    assertThat(json.path("parts").valueStream().map(p -> p.path("part").asText()))
        .containsExactly("driver", "conformance", "kernels", "products", "attention", "step");
    assertThat(json.path("parts").valueStream().map(p -> p.path("exit_code").asInt()))
        .containsExactly(0, 0, 0, 0, 3, 0);
    List<String> made = Files.readAllLines(calls);
    assertThat(made.getFirst()).startsWith("test " + out).contains("CudaTest");
    assertThat(made.get(3)).contains("--seconds").contains("8192x8192x8192");
  }

  /** Without a leftover they are under ten minutes together. */
  @Test
  void whatWouldRunFitsIntoTenMinutes() throws Exception {
    executable(kit.resolve("run.sh"), "exit 9\n");
    assertThat(first(kit.resolve("out"), "--dry-run")).isZero();
    List<String> said = Files.readAllLines(kit.resolve("said"));
    assertThat(said).hasSize(6).allMatch(line -> line.matches("\\d+ s {2}\\w+: .*"));
    assertThat(said.stream().mapToInt(line -> Integer.parseInt(line.split(" ")[0])).sum())
        .isLessThan(MOST_SECONDS);
    assertThat(calls).doesNotExist();
  }

  /** Each case that it names is one of those that are measured. */
  @Test
  void casesAreThoseOfTheBenchmarksInTheirOrder() throws IOException {
    String script = Files.readString(Path.of("gpu/first.sh"));
    String forGpu = script.substring(script.lastIndexOf("else\n"));
    List<String> named =
        Pattern.compile("\"((?:matmul|attn|train) [^\"]+)\"")
            .matcher(forGpu)
            .results()
            .map(m -> m.group(1))
            .toList();
    assertThat(named).hasSizeGreaterThan(15);
    for (String name : named) {
      assertThat(GpuCompare.chosen(GpuCase.forGpu(), List.of(name))).as(name).isNotEmpty();
    }
    List<GpuCase> chosen = GpuCompare.chosen(GpuCase.forGpu(), named);
    assertThat(chosen.getFirst()).isEqualTo(new GpuCase("matmul", "8192x8192x8192-nt", DType.BF16));
    assertThat(chosen.getLast()).isEqualTo(new GpuCase("train", "gpt2-124m-32x1024", DType.BF16));
    assertThat(chosen).doesNotHaveDuplicates().allMatch(c -> c.type() == DType.BF16);
  }
}
