package dev.javelin.example.handbook;

import static org.assertj.core.api.Assertions.assertThat;

import com.github.luben.zstd.Zstd;
import dev.javelin.autograd.Tape;
import dev.javelin.device.Cpu;
import dev.javelin.device.Cuda;
import dev.javelin.example.TrainSaveSample;
import dev.javelin.kernels.BundledKernels;
import dev.javelin.nn.Family;
import dev.javelin.tensor.Tensor;
import dev.javelin.train.Trainer;
import java.io.ByteArrayOutputStream;
import java.io.File;
import java.io.IOException;
import java.io.PrintStream;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.spi.ToolProvider;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import jcuda.Pointer;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.snakeyaml.engine.v2.api.Load;

/** What the page on containers says of Java's flags, modules and folders. */
class ContainersTest {
  private static final Path DOCKERFILE = Pages.FOLDER.resolve("containers/Dockerfile");
  private static final String VECTORS = "jdk.incubator.vector";

  @TempDir Path dir;

  /** In a process of its own: the processors it sees, and a device whose library has no room. */
  static final class Process {
    public static void main(String[] args) {
      try (Cpu cpu = Cpu.open()) {
        System.out.println("threads: " + cpu.threads());
      }
      if (Cuda.hasEmulator()) {
        try (Cuda cuda = Cuda.emulated(new BundledKernels())) {
          System.out.println("opened " + cuda);
        } catch (UncheckedIOException e) {
          System.out.println(e.getMessage());
        }
      }
    }
  }

  private static String jlink() throws IOException {
    Matcher line =
        Pattern.compile("^RUN (jlink .*)$", Pattern.MULTILINE)
            .matcher(Files.readString(DOCKERFILE));
    assertThat(line.find()).isTrue();
    return line.group(1);
  }

  private static List<String> flags() throws IOException {
    Matcher line =
        Pattern.compile("JDK_JAVA_OPTIONS=\"(.*)\"").matcher(Files.readString(DOCKERFILE));
    assertThat(line.find()).isTrue();
    return List.of(line.group(1).split(" "));
  }

  private static String tool(String name, String... args) {
    ByteArrayOutputStream said = new ByteArrayOutputStream();
    PrintStream out = new PrintStream(said, true, StandardCharsets.UTF_8);
    int code = ToolProvider.findFirst(name).orElseThrow().run(out, out, args);
    assertThat(code).as(said.toString(StandardCharsets.UTF_8)).isZero();
    return said.toString(StandardCharsets.UTF_8);
  }

  private static String run(Path java, List<String> flags, Class<?> main, String... args)
      throws IOException, InterruptedException {
    List<String> command = new ArrayList<>(List.of(java.toString()));
    command.addAll(flags);
    command.addAll(List.of("-cp", System.getProperty("java.class.path"), main.getName()));
    command.addAll(Arrays.asList(args));
    var process = new ProcessBuilder(command).redirectErrorStream(true).start();
    String said = new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
    assertThat(process.waitFor()).as(said).isZero();
    return said;
  }

  @Test
  void theImageHasTheModulesThatOurCodeNeeds() throws IOException {
    String code =
        Stream.of(
                Cpu.class,
                BundledKernels.class,
                Tensor.class,
                Tape.class,
                Family.class,
                Trainer.class,
                Pointer.class,
                Load.class,
                Zstd.class)
            .map(c -> c.getProtectionDomain().getCodeSource().getLocation().getPath())
            .collect(Collectors.joining(File.pathSeparator));
    List<String> args =
        new ArrayList<>(
            List.of("--multi-release", "25", "--ignore-missing-deps", "--print-module-deps"));
    args.addAll(List.of("--add-modules", VECTORS));
    args.addAll(List.of(code.split(File.pathSeparator)));
    String last = tool("jdeps", args.toArray(String[]::new)).strip().lines().toList().getLast();
    List<String> needed = new ArrayList<>(List.of(last.split(",")));
    needed.add(VECTORS);
    Matcher line = Pattern.compile("--add-modules (\\S+)").matcher(jlink());
    assertThat(line.find()).isTrue();
    assertThat(line.group(1).split(",")).containsAll(needed).contains("java.management");
  }

  @Test
  void threadsFollowWhatJavaSeesAndTheMessageNamesTheFolder() throws Exception {
    List<String> flags = new ArrayList<>(flags());
    flags.addAll(List.of("-XX:ActiveProcessorCount=3", "-Djava.io.tmpdir=/no/such/folder"));
    String said = run(Path.of(System.getProperty("java.home"), "bin/java"), flags, Process.class);
    assertThat(said).contains("threads: 3");
    if (Cuda.hasEmulator()) {
      assertThat(said).contains("cannot be unpacked into /no/such/folder");
    }
    assertThat(Files.readString(Pages.FOLDER.resolve("containers.md")))
        .contains("cannot be unpacked into /tmp");
  }

  @Test
  @Tag("long")
  void theJavaOfTheImageTrains() throws Exception {
    String java = dir.resolve("jre").toString();
    List<String> words = List.of(jlink().replace("--output /jre", "--output " + java).split(" "));
    tool("jlink", words.subList(1, words.size()).toArray(String[]::new));
    Path text = Files.writeString(dir.resolve("text.txt"), "The cat sat on The mat. ".repeat(200));
    String out = dir.resolve("out").toString();
    String said =
        run(Path.of(java, "bin/java"), flags(), TrainSaveSample.class, text.toString(), "2", out);
    assertThat(said).contains("step=2");
  }
}
