package dev.javelin.train.xray;

import static org.assertj.core.api.Assertions.assertThat;

import dev.javelin.tensor.io.FileFormatException;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Random;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class XrayFileTest {
  @TempDir Path dir;

  /** One small enough to be read ten thousand times. */
  private static Xray small() {
    Xray x = XrayFixture.llama();
    return new Xray(
        x.subject(),
        x.tokens().subList(0, 2),
        x.tape().subList(0, 1),
        List.of(),
        List.of(),
        x.parameters().subList(0, 1),
        x.units(),
        new double[] {1, Double.NaN},
        new Xray.ClipFacts(1, Double.POSITIVE_INFINITY, 1, 1, false),
        x.loss(),
        new Xray.MemoryPicture(new long[1], List.of(), List.of(), new long[0], 1, 2, 3),
        x.machine());
  }

  @Test
  void damagedFilesAreRefusedAndNothingElseHappens() throws IOException {
    mutations(10_000);
  }

  @Tag("long")
  @Test
  void manyDamagedFilesAreRefused() throws IOException {
    mutations(100_000);
  }

  private void mutations(int count) throws IOException {
    Path file = dir.resolve("x.jsonl");
    XrayFile.write(file, List.of(small()));
    Xray back = XrayFile.read(file).getFirst();
    assertThat(back.clip().threshold()).isInfinite();
    assertThat(back.saliency()).containsExactly(1, Double.NaN);
    byte[] good = Files.readAllBytes(file);
    Random random = new Random(13);
    int refused = 0;
    for (int i = 0; i < count; i++) {
      byte[] bad = good.clone();
      for (int n = random.nextInt(3); n >= 0; n--) {
        bad[random.nextInt(bad.length)] = (byte) random.nextInt(256);
      }
      try {
        XrayFile.parse(file, bad);
      } catch (FileFormatException e) {
        refused++;
      }
    }
    assertThat(refused).isGreaterThan(count / 2);
  }
}
