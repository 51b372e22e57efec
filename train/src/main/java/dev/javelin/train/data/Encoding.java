package dev.javelin.train.data;

import dev.javelin.train.tokenizer.Tokenizer;
import java.util.ArrayList;
import java.util.Iterator;
import java.util.List;
import java.util.function.IntConsumer;
import java.util.stream.IntStream;
import org.jspecify.annotations.Nullable;

/**
 * Documents to ids on all cores: some are read, encoded side by side and handed on in order, so
 * that ids, errors and their order are those of one thread.
 */
final class Encoding {
  private static final int TOGETHER = 256;
  private static final int CHARACTERS_TOGETHER = 1 << 22; // bounds what waits in memory

  private final Tokenizer tokenizer;
  private final @Nullable Separator separator;
  private final IntConsumer out;
  private final List<TextDocument> waiting = new ArrayList<>();
  private long characters;

  /**
   * @param separator what ends each document; {@code null} for nothing
   */
  Encoding(Tokenizer tokenizer, @Nullable Separator separator, IntConsumer out) {
    this.tokenizer = tokenizer;
    this.separator = separator;
    this.out = out;
  }

  private record Outcome(int[] ids, @Nullable RuntimeException wrong) {}

  void all(Iterator<TextDocument> documents) {
    while (true) {
      TextDocument next;
      try {
        next = documents.hasNext() ? documents.next() : null;
      } catch (RuntimeException e) {
        handOn(); // what is wrong before is said before
        throw e;
      }
      if (next == null) {
        handOn();
        return;
      }
      waiting.add(next);
      characters += next.text().length();
      if (waiting.size() == TOGETHER || characters >= CHARACTERS_TOGETHER) {
        handOn();
      }
    }
  }

  private void handOn() {
    if (waiting.size() == 1) {
      encode(waiting.getFirst(), out);
    } else {
      List<Outcome> outcomes =
          IntStream.range(0, waiting.size())
              .parallel()
              .mapToObj(i -> outcome(waiting.get(i)))
              .toList();
      for (Outcome o : outcomes) {
        for (int id : o.ids) {
          out.accept(id);
        }
        if (o.wrong != null) {
          throw o.wrong;
        }
      }
    }
    waiting.clear();
    characters = 0;
  }

  private Outcome outcome(TextDocument document) {
    IntStream.Builder ids = IntStream.builder();
    try {
      encode(document, ids);
      return new Outcome(ids.build().toArray(), null);
    } catch (RuntimeException e) {
      return new Outcome(ids.build().toArray(), e);
    }
  }

  private void encode(TextDocument document, IntConsumer into) {
    document.encode(tokenizer, into);
    if (separator != null) {
      separator.end(document.text(), tokenizer, into);
    }
  }
}
