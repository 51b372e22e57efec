package dev.javelin.train.chat;

import dev.javelin.train.data.ExampleBuffer;
import dev.javelin.train.data.InputException;
import dev.javelin.train.data.TextFiles;
import dev.javelin.train.data.TokenSource;
import dev.javelin.train.data.format.Document;
import dev.javelin.train.tokenizer.Tokenizer;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Locale;
import java.util.Set;
import java.util.function.Function;
import java.util.stream.Collectors;
import org.jspecify.annotations.Nullable;

/**
 * Conversations, instructions or preferences in files, before they are tokens.
 *
 * @param files where they stand
 * @param formats of each file
 * @param options how rows become examples
 */
public record ChatData(TextFiles files, List<ChatFormat> formats, ChatOptions options) {

  /**
   * Examples, and what the user should know of them.
   *
   * @param source ids, which of them are learned, and where each example comes from
   * @param template that wrote them, null where none did
   * @param notes a line each
   */
  public record Read(TokenSource source, @Nullable ChatTemplate template, List<String> notes) {}

  /**
   * Preferences.
   *
   * @param chosen an example each: prompt and the better answer, which is learned
   * @param rejected as many: the same prompts and the worse answers
   */
  public record Pairs(
      TokenSource chosen,
      TokenSource rejected,
      @Nullable ChatTemplate template,
      List<String> notes) {}

  /**
   * Looks into files.
   *
   * @return null where they hold running text
   * @throws InputException where a path cannot be read or the kinds of data are mixed
   * @throws dev.javelin.tensor.io.FileFormatException where rows are of no known format
   */
  public static @Nullable ChatData find(List<Path> paths, ChatOptions options) {
    if (options.format() == ChatFormat.TEXT) {
      return null;
    }
    TextFiles files = TextFiles.of(paths, options.column());
    List<ChatFormat> formats =
        options.format() == null
            ? ChatReader.recognise(files, options.column())
            : files.files().stream().map(file -> options.format()).toList();
    return formats.getFirst().isConversation() ? new ChatData(files, formats, options) : null;
  }

  /**
   * A tokenizer by its name: {@code byte}, {@code char} and {@code bpe} (of what is said in them),
   * or a directory.
   */
  public Tokenizer tokenizer(String name) {
    return new ChatTexts(files, options.template()).tokenizer(name);
  }

  /** Whether rows are two answers to one prompt. */
  public boolean isPreference() {
    return formats.getFirst() == ChatFormat.PREFERENCE;
  }

  /**
   * The template that writes them, as the options or the tokenizer have it; null where there is
   * none and every row does without.
   *
   * @throws InputException where the one that is named cannot be used
   */
  public @Nullable ChatTemplate template(Tokenizer tokenizer) {
    if (options.template() != null) {
      return TemplateFiles.named(options.template(), tokenizer);
    }
    ChatTemplate own = TemplateFiles.of(tokenizer);
    return own == null && formats.stream().allMatch(f -> f == ChatFormat.ALPACA)
        ? TemplateFiles.named(BuiltIn.ALPACA.title(), tokenizer)
        : own;
  }

  /**
   * Reads and encodes all of them.
   *
   * @throws InputException or {@link dev.javelin.tensor.io.FileFormatException} for a row that
   *     cannot be used, where there is none at all, and where memory does not suffice
   */
  public Read read(Tokenizer tokenizer) {
    try {
      return readAll(tokenizer);
    } catch (OutOfMemoryError e) {
      throw InputException.outOfMemory(files.name(), "train on a part of it", e);
    }
  }

  private Read readAll(Tokenizer tokenizer) {
    if (isPreference()) {
      throw new InputException(
          files.name()
              + " holds preferences, two answers to a prompt: choose an objective for them, such as --objective dpo");
    }
    Encoder encoder = new Encoder(tokenizer, options.turns());
    Collected all = new Collected();
    ChatReader reader = new ChatReader(options.skipBadRows());
    each(reader, encoder::tokens, all::add);
    TokenSource source = all.finish(files.name());
    return new Read(source, encoder.template(), notes(reader, encoder, all));
  }

  /** The same of preferences. */
  public Pairs readPairs(Tokenizer tokenizer) {
    if (!isPreference()) {
      throw new InputException(
          "%s holds %s: preferences have \"chosen\" and \"rejected\" in each row"
              .formatted(files.name(), formats.getFirst().title()));
    }
    Encoder encoder = new Encoder(tokenizer, LearnedTurns.LAST);
    Collected chosen = new Collected();
    Collected rejected = new Collected();
    ChatReader reader = new ChatReader(options.skipBadRows());
    each(
        reader,
        encoder::pair,
        (row, pair) -> {
          chosen.add(row, pair.chosen());
          rejected.add(row, pair.rejected());
        });
    TokenSource better = chosen.finish(files.name() + " (chosen)");
    TokenSource worse = rejected.finish(files.name() + " (rejected)");
    return new Pairs(better, worse, encoder.template(), notes(reader, encoder, chosen));
  }

  /** Preferences as tokens. */
  private record TokenPair(ChatTokens chosen, ChatTokens rejected) {}

  private <T> void each(
      ChatReader reader,
      java.util.function.BiFunction<ChatFormat, Document, T> make,
      java.util.function.BiConsumer<Document, T> take) {
    for (int i = 0; i < formats.size(); i++) {
      ChatFormat format = formats.get(i);
      Function<Document, T> one = row -> make.apply(format, row);
      reader.read(files.files().get(i), one, take);
    }
  }

  private List<String> notes(ChatReader reader, Encoder encoder, Collected all) {
    List<String> notes = new ArrayList<>(files.notes());
    Set<String> kinds = new LinkedHashSet<>();
    formats.forEach(format -> kinds.add(format.title()));
    ChatTemplate template = encoder.template();
    notes.add(
        String.format(
            Locale.ROOT,
            "%s: %,d examples (%s), %s; %,d of %,d tokens are learned",
            files.name(),
            all.count(),
            String.join(", ", kinds),
            template == null ? "plain text" : "chat template " + template.name(),
            all.learned,
            all.size));
    if (template != null) {
      List<String> unknown = template.unknownTokens(encoder.tokenizer);
      if (!unknown.isEmpty()) {
        notes.add(
            "the tokenizer has no token %s, which the template %s writes: they are several tokens each; choose another --template if that is not meant"
                .formatted(unknown.stream().collect(Collectors.joining(", ")), template.name()));
      }
    }
    String skipped = reader.skippedNote();
    if (skipped != null) {
      notes.add(skipped);
    }
    return notes;
  }

  /** Rows to tokens; threads share it. */
  private final class Encoder {
    private final Tokenizer tokenizer;
    private final LearnedTurns turns;
    private final @Nullable ChatTemplate found;
    private final @Nullable ChatTemplate template;
    private final ChatRows rows = new ChatRows(options.template() != null);
    private volatile boolean used;

    Encoder(Tokenizer tokenizer, LearnedTurns turns) {
      this.tokenizer = tokenizer;
      this.turns = turns;
      this.found = ChatData.this.template(tokenizer);
      this.template = found == null ? null : found.forTraining();
    }

    /** Null where no row needed it. */
    @Nullable ChatTemplate template() {
      return used ? found : null;
    }

    ChatTokens tokens(ChatFormat format, Document row) {
      return tokens(rows.read(row, format));
    }

    TokenPair pair(ChatFormat format, Document row) {
      Sample.Pair pair = (Sample.Pair) rows.read(row, format);
      return new TokenPair(tokens(pair.chosen()), tokens(pair.rejected()));
    }

    private ChatTokens tokens(Sample sample) {
      return switch (sample) {
        case Sample.Talk(Conversation conversation) -> {
          if (template == null) {
            throw new InputException(
                "the model has no chat template: choose one with --template "
                    + TemplateFiles.builtIn());
          }
          used = true;
          yield template.encode(ToolText.of(conversation, template), tokenizer, turns);
        }
        case Sample.Plain(String prompt, String completion) ->
            PlainText.tokens(prompt, completion, tokenizer, turns);
        case Sample.Pair _ -> throw new IllegalArgumentException("a pair is two samples");
      };
    }
  }

  /** Examples on their way into memory. */
  private static final class Collected {
    private final ExampleBuffer buffer = new ExampleBuffer();
    private final PlaceNames places = new PlaceNames();
    private long learned;
    private long size;

    void add(Document row, ChatTokens tokens) {
      buffer.begin();
      int[] ids = tokens.ids();
      for (int i = 0; i < ids.length; i++) {
        buffer.accept(ids[i], tokens.learned().get(i));
      }
      places.add(row.source());
      learned += tokens.learned().cardinality();
      size += ids.length;
    }

    long count() {
      return buffer.examples();
    }

    TokenSource finish(String name) {
      return buffer.finish(name, places::get);
    }
  }
}
