package dev.javelin.cli;

import static dev.javelin.cli.CommandLineTest.run;
import static org.assertj.core.api.Assertions.assertThat;

import dev.javelin.cli.CommandLineTest.Result;
import java.awt.image.BufferedImage;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import javax.imageio.ImageIO;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class SweepCommandTest {
  @TempDir Path dir;

  @Test
  void aTableAFileAndAPictureSayWhichWasBest() throws IOException {
    Path text = dir.resolve("text.txt");
    Files.writeString(text, "the sea under the hill sang over the old stone.\n".repeat(40));
    Path file = dir.resolve("sweep.yaml");
    Files.writeString(
        file,
        "data: "
            + text
            + "\ntokenizer: char\nmodel: llama-shakespeare-cpu\ndevice: cpu\nseq_len: 8\n"
            + "batch_size: 2\nmax_steps: 6\nwarmup_steps: 1\neval_every: 2\nlr: [0.0, 3e-3, 1e-3]\n");
    Path out = dir.resolve("sweep");
    Result r = run("sweep", file.toString(), "--output-dir=" + out, "--set", "seed=5");
    ResumeTest.assertSuccess(r);
    assertThat(r.out())
        .contains("3 combinations of")
        .contains("1/3 trial-001 {learning_rate=0.0}: loss ")
        .containsPattern("\n   1  \\d\\.\\d{4} +6  trial-003 learning_rate=0.001\n")
        .containsPattern("\n   3  \\d\\.\\d{4} +6  trial-001 learning_rate=0.0\n");
    assertThat(out.resolve("results.csv")).isNotEmptyFile();
    assertThat(Files.readString(out.resolve("trial-002/config.yaml"))).contains("seed: 5");
    BufferedImage picture = ImageIO.read(out.resolve("sweep.png").toFile());
    assertThat(picture.getWidth()).isEqualTo(960);
  }

  @Test
  void whatIsWrongIsNamed() throws IOException {
    Path file = dir.resolve("sweep.yaml");
    Files.writeString(file, "lr: [1e-3]\nbatch: [2]\n");
    Result r = run("sweep", file.toString(), "--output-dir=" + dir.resolve("x"));
    assertThat(r.exit()).isEqualTo(2);
    assertThat(r.err()).contains("sweep.yaml: line 2: unknown key batch");
    Files.writeString(file, "lr: [1e-3]\n");
    r = run("sweep", file.toString(), "--method=magic");
    assertThat(r.exit()).isEqualTo(2);
    assertThat(r.err()).contains("--method must be grid, random or halving, got magic");
    r = run("sweep", dir.resolve("none.yaml").toString());
    assertThat(r.exit()).isEqualTo(2);
    assertThat(r.err()).contains("no such file");
  }
}
