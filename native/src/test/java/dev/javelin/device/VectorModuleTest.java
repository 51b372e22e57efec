package dev.javelin.device;

import static org.assertj.core.api.Assertions.assertThat;

import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.Test;

/** What a user sees who starts Java without the Vector API's module. */
class VectorModuleTest {

  @Test
  void withoutTheModuleOpeningTheCpuNamesTheFlag() throws Exception {
    assertThat(openInChild(List.of()))
        .contains("IllegalStateException")
        .contains("start Java with --add-modules jdk.incubator.vector");
  }

  @Test
  void withTheFlagItOpens() throws Exception {
    assertThat(openInChild(List.of("--add-modules", "jdk.incubator.vector"))).contains("opened");
  }

  /** Opens the CPU in a Java of its own with these flags; returns all it prints. */
  private static String openInChild(List<String> flags) throws Exception {
    Path java = Path.of(System.getProperty("java.home"), "bin", "java");
    List<String> command = new ArrayList<>();
    command.add(java.toString());
    command.addAll(flags);
    command.addAll(List.of("-cp", System.getProperty("java.class.path"), Open.class.getName()));
    Process child = new ProcessBuilder(command).redirectErrorStream(true).start();
    String output = new String(child.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
    child.waitFor();
    return output;
  }

  static final class Open {
    private Open() {}

    public static void main(String[] args) {
      try (Cpu cpu = Cpu.open(1)) {
        IO.println("opened " + cpu);
      }
    }
  }
}
