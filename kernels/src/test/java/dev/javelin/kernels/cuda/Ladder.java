package dev.javelin.kernels.cuda;

import dev.javelin.device.KernelImages;
import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Comparator;
import java.util.List;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;

/** The rungs in {@code docs/kernels/ladder}: their sources, and what the build made of them. */
final class Ladder {
  static final Path FOLDER = Path.of("../docs/kernels/ladder");
  private static final String IMAGES = "dev/javelin/kernels/ladder/";

  private Ladder() {}

  /** {@code matmul}, 3. */
  record Rung(String ladder, int number) {
    String source() {
      return read(FOLDER.resolve(this + ".cu"));
    }

    /** The value of {@code name = 128} in its source. */
    int constant(String name) {
      Matcher m = Pattern.compile("\\b" + name + " = (\\d+)[,;]").matcher(source());
      if (!m.find()) {
        throw new AssertionError(this + ".cu has no constant " + name);
      }
      return Integer.parseInt(m.group(1));
    }

    @Override
    public String toString() {
      return ladder + "_" + number;
    }
  }

  /** From the bottom to the top. */
  static List<Rung> rungs(String ladder) {
    Pattern name = Pattern.compile(ladder + "_(\\d+)\\.cu");
    try (Stream<Path> files = Files.list(FOLDER)) {
      return files
          .map(file -> name.matcher(file.getFileName().toString()))
          .filter(Matcher::matches)
          .map(m -> new Rung(ladder, Integer.parseInt(m.group(1))))
          .sorted(Comparator.comparingInt(Rung::number))
          .toList();
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  /** For devices; those that check every access where {@code checked} and emulated. */
  static KernelImages images(boolean checked) {
    return (family, _, emulated) ->
        resource(family + (emulated ? checked ? ".check.so" : ".emu.so" : ".fatbin"));
  }

  /** A file that the build made of the ladder; null where it had no compiler for it. */
  static byte @Nullable [] resource(String name) {
    try (InputStream in = Ladder.class.getClassLoader().getResourceAsStream(IMAGES + name)) {
      return in == null ? null : in.readAllBytes();
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  static String read(Path file) {
    try {
      return Files.readString(file);
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }
}
