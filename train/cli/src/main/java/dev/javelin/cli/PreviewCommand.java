package dev.javelin.cli;

import dev.javelin.train.chat.ChatData;
import dev.javelin.train.chat.ChatFormat;
import dev.javelin.train.chat.ChatOptions;
import dev.javelin.train.chat.LearnedTurns;
import dev.javelin.train.data.Dataset;
import dev.javelin.train.data.InputException;
import dev.javelin.train.data.TextDocument;
import dev.javelin.train.data.TextFiles;
import dev.javelin.train.data.TokenSource;
import dev.javelin.train.tokenizer.Tokenizer;
import java.io.PrintWriter;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Locale;
import java.util.concurrent.Callable;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Spec;

/** {@code javelin preview}: what a model would learn from. */
@Command(
    name = "preview",
    mixinStandardHelpOptions = true,
    description =
        "Shows examples as a model sees them: what counts for the loss in green, the rest dim; or in brackets.")
final class PreviewCommand implements Callable<Integer> {
  private static final String LEARNED = "\u001b[32m";
  private static final String GIVEN = "\u001b[2m";
  private static final String PLAIN = "\u001b[0m";

  @Spec private @Nullable CommandSpec spec;

  @Option(
      names = "--data",
      required = true,
      arity = "1..*",
      paramLabel = "PATH",
      description = "Files of text, conversations or instructions, or folders of them.")
  private List<Path> data = new ArrayList<>();

  @Option(
      names = {"--model", "--tokenizer"},
      required = true,
      paramLabel = "byte|DIR",
      description = "Model or tokenizer whose tokens and chat template are used.")
  private String model = "";

  @Option(
      names = "--format",
      paramLabel = "NAME",
      description =
          "What the rows are: text, messages, sharegpt, alpaca, prompt-completion or preference. Default: recognised by the first rows.")
  private @Nullable String format;

  @Option(
      names = "--template",
      paramLabel = "NAME|FILE",
      description = "Chat template. Default: the model's own.")
  private @Nullable String template;

  @Option(names = "--train-on-prompt", description = "Learn every token.")
  private boolean trainOnPrompt;

  @Option(names = "--mask-history", description = "Learn the assistant's last turn only.")
  private boolean maskHistory;

  @Option(names = "--skip-bad-rows", description = "Pass over rows that cannot be used.")
  private boolean skipBadRows;

  @Option(
      names = "--column",
      paramLabel = "NAME",
      description = "Field or column that holds running text. Default: ${DEFAULT-VALUE}.")
  private String column = TextFiles.TEXT;

  @Option(
      names = "--examples",
      paramLabel = "N",
      description = "How many to show. Default: ${DEFAULT-VALUE}.")
  private int examples = 3;

  @Option(
      names = "--tokens",
      paramLabel = "N",
      description = "Tokens of each to show at most. Default: ${DEFAULT-VALUE}.")
  private int tokens = 1000;

  @Option(names = "--no-color", description = "Mark what counts with brackets. So does NO_COLOR.")
  private boolean noColor;

  @Override
  public Integer call() {
    Main.atLeast(1, "--examples", examples);
    Main.atLeast(1, "--tokens", tokens);
    if (Dataset.holdsTokens(data)) {
      throw new InputException("--data is a token file, which has no examples: name text or rows");
    }
    ChatOptions options = new ChatOptions(named(), template, turns(), skipBadRows, column);
    ChatData chats = ChatData.find(data, options);
    if (chats == null) {
      showText();
    } else if (chats.isPreference()) {
      Tokenizer tokenizer = tokenizer();
      ChatData.Pairs pairs = chats.readPairs(tokenizer);
      Main.notes(spec, pairs.notes());
      show(List.of(pairs.chosen(), pairs.rejected()), tokenizer);
    } else {
      Tokenizer tokenizer = tokenizer();
      ChatData.Read read = chats.read(tokenizer);
      Main.notes(spec, read.notes());
      show(List.of(read.source()), tokenizer);
    }
    return Main.OK;
  }

  private @Nullable ChatFormat named() {
    if (format == null) {
      return null;
    }
    return Stream.of(ChatFormat.values())
        .filter(one -> one.title().equals(format))
        .findFirst()
        .orElseThrow(
            () ->
                new InputException(
                    "--format must be one of text, messages, sharegpt, alpaca, prompt-completion, preference, got "
                        + format));
  }

  private LearnedTurns turns() {
    if (trainOnPrompt && maskHistory) {
      throw new InputException(
          "--train-on-prompt and --mask-history cannot be combined: give one of them");
    }
    return trainOnPrompt
        ? LearnedTurns.ALL
        : maskHistory ? LearnedTurns.LAST : LearnedTurns.ASSISTANT;
  }

  private Tokenizer tokenizer() {
    return model.equals("byte")
        ? new dev.javelin.train.tokenizer.ByteTokenizer()
        : Tokenizer.load(Path.of(model));
  }

  private void showText() {
    TextFiles texts = TextFiles.of(data, column);
    Tokenizer tokenizer = tokenizer();
    Main.notes(spec, texts.notes());
    Main.out(spec).println(texts.name() + ": running text, every token counts");
    try (Stream<TextDocument> documents = texts.documents()) {
      documents
          .limit(examples)
          .forEach(
              document -> {
                int[] ids = tokenizer.encode(document.text());
                boolean[] learned = new boolean[ids.length];
                Arrays.fill(learned, true);
                show(document.source(), ids, learned, ids.length, tokenizer);
              });
    }
  }

  private void show(List<TokenSource> sources, Tokenizer tokenizer) {
    lengths(sources.getFirst());
    for (long i = 0; i < Math.min(examples, sources.getFirst().examples()); i++) {
      for (TokenSource source : sources) {
        long start = source.exampleStart(i);
        int length = Math.toIntExact(source.exampleStart(i + 1) - start);
        int count = Math.min(length, tokens);
        int[] ids = new int[count];
        boolean[] learned = new boolean[count];
        source.read(start, ids, count);
        source.readLearned(start, learned, count);
        String which =
            sources.size() == 1 ? "" : source == sources.getFirst() ? ", chosen" : ", rejected";
        show(source.exampleName(i) + which, ids, learned, length, tokenizer);
      }
    }
  }

  private void lengths(TokenSource source) {
    long[] lengths = new long[Math.toIntExact(source.examples())];
    for (int i = 0; i < lengths.length; i++) {
      lengths[i] = source.exampleStart(i + 1) - source.exampleStart(i);
    }
    Arrays.sort(lengths);
    Main.out(spec)
        .printf(
            Locale.ROOT,
            "%,d examples of %,d to %,d tokens, half of them up to %,d, nine tenths up to %,d%n",
            lengths.length,
            lengths[0],
            lengths[lengths.length - 1],
            lengths[(lengths.length - 1) / 2],
            lengths[(lengths.length - 1) * 9 / 10]);
  }

  private void show(String name, int[] ids, boolean[] learned, int length, Tokenizer tokenizer) {
    PrintWriter out = Main.out(spec);
    int count = Math.min(ids.length, tokens);
    int counted = 0;
    for (int i = 0; i < count; i++) {
      counted += learned[i] ? 1 : 0;
    }
    String cut = count < length ? String.format(Locale.ROOT, ", the first %,d", count) : "";
    out.printf(Locale.ROOT, "%n--- %s: %,d tokens%s, %,d count%n", name, length, cut, counted);
    boolean colors = !noColor && System.getenv("NO_COLOR") == null;
    for (int from = 0, to; from < count; from = to) {
      to = from + 1;
      while (to < count && learned[to] == learned[from]) {
        to++;
      }
      String text = Terminal.harmless(tokenizer.decode(Arrays.copyOfRange(ids, from, to)));
      if (colors) {
        out.print((learned[from] ? LEARNED : GIVEN) + text + PLAIN);
      } else {
        out.print(learned[from] ? "[" + text + "]" : text);
      }
    }
    out.println();
    out.flush();
  }
}
