package dev.javelin.cli;

import static org.assertj.core.api.Assertions.assertThat;

import dev.javelin.train.monitor.StepMetrics;
import java.awt.image.BufferedImage;
import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import javax.imageio.ImageIO;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class LossCurveTest {
  @TempDir Path dir;

  @Test
  void lossCurveIsAPictureWithBothLines() throws IOException {
    List<StepMetrics> metrics = new ArrayList<>();
    for (int s = 10; s <= 1000; s += 10) {
      double loss = 1.5 + 2.5 * Math.exp(-s / 150.0) + 0.05 * Math.sin(s);
      metrics.add(step(s, loss, s % 200 == 0 ? loss + 0.1 : null));
    }
    Path png = dir.resolve("loss.png");
    assertThat(LossCurve.draw(png, "llama-small", metrics)).isTrue();
    BufferedImage image = ImageIO.read(png.toFile());
    assertThat(image.getWidth()).isEqualTo(960);
    assertThat(pixels(image, 0x4c78a8)).isGreaterThan(300);
    assertThat(pixels(image, 0xd6553d)).isGreaterThan(100);
  }

  private static int pixels(BufferedImage image, int rgb) {
    int n = 0;
    for (int y = 0; y < image.getHeight(); y++) {
      for (int x = 0; x < image.getWidth(); x++) {
        n += (image.getRGB(x, y) & 0xffffff) == rgb ? 1 : 0;
      }
    }
    return n;
  }

  private static StepMetrics step(long step, double loss, @Nullable Double eval) {
    return new StepMetrics(step, loss, 0.5, 1e-3, step * 768, 45678, 12.5, 1, 0, 0, eval);
  }
}
