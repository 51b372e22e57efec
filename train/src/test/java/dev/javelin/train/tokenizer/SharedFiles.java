package dev.javelin.train.tokenizer;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Assumptions;

/** Reference files that lie beside the repository; tests that need them are skipped without. */
public final class SharedFiles {
  private static final Path ROOT = Path.of("../../shared");

  private SharedFiles() {}

  public static Path golden(String name) {
    return existing(ROOT.resolve("golden/tokenizers").resolve(name));
  }

  public static Path data(String name) {
    return existing(ROOT.resolve("data").resolve(name));
  }

  public static String text(String name) throws IOException {
    return Files.readString(existing(ROOT.resolve("data").resolve(name)));
  }

  /** A published model's directory. */
  public static Path model(String name) {
    return existing(ROOT.resolve("models").resolve(name));
  }

  private static Path existing(Path path) {
    Assumptions.assumeTrue(Files.exists(path), () -> "no reference files: " + path);
    return path;
  }

  public static JsonNode json(Path path) throws IOException {
    return new ObjectMapper().readTree(path.toFile());
  }

  public static int[] ids(JsonNode array) {
    return IntStream.range(0, array.size()).map(i -> array.get(i).intValue()).toArray();
  }
}
