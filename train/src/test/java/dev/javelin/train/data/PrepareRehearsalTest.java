package dev.javelin.train.data;

import static org.assertj.core.api.Assertions.assertThat;

import dev.javelin.tensor.io.FileCalls;
import dev.javelin.train.run.FaultyCalls;
import dev.javelin.train.run.FaultyCalls.Fault;
import dev.javelin.train.run.FaultyCalls.Killed;
import dev.javelin.train.tokenizer.ByteTokenizer;
import dev.javelin.train.tokenizer.CharTokenizer;
import dev.javelin.train.tokenizer.Tokenizer;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Objects;
import java.util.function.Consumer;
import java.util.stream.Stream;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/**
 * A preparation whose process dies, or whose disk is full, at each of its calls: what the directory
 * holds is the earlier one or the new one, or has no train.bin; and the next one ends well.
 */
class PrepareRehearsalTest {
  private static final Texts OLD = Texts.of("old", "what was there before");
  private static final Texts NEW = Texts.of("new", "and what comes instead of it");
  private static final String OLD_PARTS = "what was there| before";
  private static final String NEW_PARTS = "and what comes inst|ead of it";

  @TempDir private Path directory;

  private static void prepareNew(Path out) {
    Prepare.run(NEW, CharTokenizer.of(Stream.of("abcdefghijklmnopqrstuvwxyz ")), 0.3, out);
  }

  /** Training text and validation text; empty where there is no train.bin. */
  private static String parts(Path out) {
    if (!Files.exists(out.resolve("train.bin"))) {
      return "";
    }
    try (Dataset data = Dataset.open(List.of(out), List.of(), 0, null, TextFiles.TEXT)) {
      Tokenizer tokenizer = Objects.requireNonNull(data.tokenizer());
      return text(data.train(), tokenizer)
          + "|"
          + text(Objects.requireNonNull(data.validation()), tokenizer);
    }
  }

  private static String text(TokenSource source, Tokenizer tokenizer) {
    int[] ids = new int[(int) source.size()];
    source.read(0, ids, ids.length);
    return tokenizer.decode(ids);
  }

  private int rehearse(Path out, Fault fault, int at) {
    FaultyCalls calls = new FaultyCalls(fault, at);
    ScopedValue.where(FileCalls.SCOPE, calls)
        .run(
            () -> {
              try {
                prepareNew(out);
              } catch (Killed | UncheckedIOException e) {
                assertThat(at).isLessThan(calls.calls().size());
              }
            });
    return calls.calls().size();
  }

  @ParameterizedTest
  @EnumSource(Fault.class)
  void overAnEarlierOne(Fault fault) {
    everyMoment(fault, OLD_PARTS, out -> Prepare.run(OLD, new ByteTokenizer(), 0.3, out));
  }

  @ParameterizedTest
  @EnumSource(Fault.class)
  void whereNothingWas(Fault fault) {
    everyMoment(fault, "", out -> {});
  }

  private void everyMoment(Fault fault, String before, Consumer<Path> begin) {
    Path unbroken = directory.resolve("unbroken");
    begin.accept(unbroken);
    int moments = rehearse(unbroken, fault, Integer.MAX_VALUE);
    assertThat(moments).isGreaterThan(20);
    for (int at = 0; at < moments; at++) {
      Path out = directory.resolve(fault + "-" + at);
      begin.accept(out);
      assertThat(parts(out)).isEqualTo(before);
      rehearse(out, fault, at);
      assertThat(parts(out)).as(fault + " at " + at).isIn(before, NEW_PARTS, "");
      prepareNew(out);
      assertThat(parts(out)).as("after " + fault + " at " + at).isEqualTo(NEW_PARTS);
    }
  }
}
