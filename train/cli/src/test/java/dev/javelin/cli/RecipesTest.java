package dev.javelin.cli;

import static java.nio.charset.StandardCharsets.UTF_8;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assumptions.assumeThat;

import dev.javelin.train.settings.Quantize;
import dev.javelin.train.settings.RunSettings;
import java.io.ByteArrayInputStream;
import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/**
 * Every page of {@code docs/recipes}, run from its YAML and by its commands, with small models and
 * data in the places of those that the page names. Its other keys and flags are taken as they
 * stand.
 */
class RecipesTest {
  private static final Path ROOT = Path.of("../..");
  private static final Path PAGES = ROOT.resolve("docs/recipes");
  private static final Path SHARED = ROOT.resolve("../shared");
  private static final Path BERT = Path.of("../../nn/src/test/resources/golden/families/bert-tiny");
  private static final Pattern YAML =
      Pattern.compile("```yaml\n(# (\\S+)\n.*?)```", Pattern.DOTALL);
  private static final Pattern SHELL = Pattern.compile("```sh\n(.*?)```", Pattern.DOTALL);
  private static final Pattern WORD = Pattern.compile("\"([^\"]*)\"|(\\S+)");
  private static final String[] NOUNS = {"cat", "dog", "bird", "fish", "frog", "cow"};

  @TempDir static Path shared;
  @TempDir Path dir;

  /** Names that the page gives to files and directories, and what stands in their places. */
  private final Map<String, Path> places = new HashMap<>();

  static List<Path> pages() throws IOException {
    try (Stream<Path> files = Files.list(PAGES)) {
      return files.filter(f -> f.toString().endsWith(".md")).filter(RecipesTest::hasYaml).toList();
    }
  }

  private static boolean hasYaml(Path page) {
    return read(page).contains("```yaml");
  }

  /** A language model and an encoder, with tokenizers of their own. */
  @BeforeAll
  static void models() throws IOException {
    Path text = Files.writeString(shared.resolve("some.txt"), sentences(300));
    String tokenizer = "--output-dir=" + shared.resolve("tokenizer");
    succeed("tokenizer", "train", "--data=" + text, "--vocab-size=300", tokenizer);
    Path config = Files.createDirectories(shared.resolve("config")).resolve("config.json");
    Files.writeString(
        config,
        Tiny.LLAMA
            .replace("\"vocab_size\": 256", "\"vocab_size\": 300")
            .replace("\"max_position_embeddings\": 32", "\"max_position_embeddings\": 128"));
    succeed(
        "train",
        "--model=" + config.getParent(),
        "--tokenizer=" + shared.resolve("tokenizer"),
        "--data=" + text,
        "--seq-len=32",
        "--batch-size=4",
        "--max-steps=20",
        "--learning-rate=0.01",
        "--quiet",
        "--output-dir=" + shared.resolve("run"));
    Path bert = Files.createDirectories(shared.resolve("bert"));
    for (String name : List.of("config.json", "model.safetensors")) {
      Files.copy(BERT.resolve(name), bert.resolve(name));
    }
    succeed(
        "tokenizer",
        "train",
        "--kind=wordpiece",
        "--lowercase",
        "--data=" + text,
        "--vocab-size=192",
        "--output-dir=" + bert);
  }

  @ParameterizedTest
  @MethodSource("pages")
  void runsAsThePageSays(Path page) throws IOException {
    String text = read(page);
    Path config = config(text);
    RunSettings settings = RunSettings.DEFAULT.with(config);
    Map<String, Path> run = standIns(settings);

    List<List<String>> commands = commands(text);
    List<String> train = List.of("train", "--config", config.getFileName().toString());
    assertThat(commands).contains(train);
    List<String> flags = new ArrayList<>(List.of("train", "--config=" + config, "--threads=1"));
    flags.addAll(List.of("--max-steps=24", "--seq-len=64", "--batch-size=4", "--logging-steps=1"));
    run.forEach((key, place) -> flags.add("--" + key + "=" + place));
    String said = succeed(flags.toArray(new String[0]));
    assertThat(said.contains("perplexity"))
        .as("a perplexity where the loss is that of the next token")
        .isEqualTo(settings.objective().objective().equals("next-token"));
    Path output = dir.resolve("run");
    assertThat(said.contains("base are kept in " + settings.model().quantize().label() + ": its"))
        .isEqualTo(settings.model().quantize() != Quantize.NONE);
    files(text).forEach(name -> assertThat(output.resolve("last").resolve(name)).exists());
    List<Double> losses = losses(output.resolve("metrics.jsonl"));
    assertFalling(losses);
    commands.stream().filter(c -> !c.equals(train)).forEach(this::follow);
  }

  /** The page on a model that was really trained, and the text that it names. */
  @Test
  void aPublishedModelLearnsNewText() throws IOException {
    assumeThat(SHARED).as("reference files beside the repository").exists();
    Path config = config(read(PAGES.resolve("continue.md")));
    RunSettings page = RunSettings.DEFAULT.with(config);
    Path model = ROOT.resolve(page.model().model());
    Path data = ROOT.resolve(page.data().data().getFirst());
    Path output = dir.resolve("run");
    succeed(
        "train",
        "--config=" + config,
        "--model=" + model,
        "--data=" + data,
        "--output-dir=" + output,
        "--max-steps=24",
        "--seq-len=128",
        "--batch-size=4",
        "--eval-batches=2",
        "--logging-steps=1");
    List<Double> losses = losses(output.resolve("metrics.jsonl"));
    assertThat(losses.getFirst()).as("what it learned before is of use").isLessThan(5);
    assertFalling(losses);
  }

  /** Keys that name what a clone does not have, with what stands there in this test. */
  private Map<String, Path> standIns(RunSettings page) throws IOException {
    boolean classes = page.objective().objective().equals("classify");
    Path trained = shared.resolve("run/last");
    Path fresh = shared.resolve("config");
    boolean student = page.objective().objective().equals("distill");
    String named = page.data().data().getFirst().toString();
    Path data = named.startsWith("docs") ? ROOT.resolve(named) : data(classes, named);
    Map<String, Path> keys = new HashMap<>();
    stand(
        keys,
        "model",
        page.model().model(),
        classes ? shared.resolve("bert") : student ? fresh : trained);
    stand(keys, "tokenizer", page.model().tokenizer(), trained);
    stand(keys, "teacher", page.objective().teacher(), trained);
    stand(keys, "reference", page.objective().reference(), trained);
    stand(keys, "data", named, data);
    List<Path> held = page.data().valData();
    stand(keys, "val-data", held.isEmpty() ? null : held.getFirst(), data);
    stand(keys, "output-dir", page.run().outputDir(), dir.resolve("run"));
    return keys;
  }

  private void stand(Map<String, Path> keys, String key, @Nullable Object named, Path place) {
    if (named != null) {
      keys.put(key, place);
      places.put(named.toString(), place);
    }
  }

  /** A file of the kind that the name in the page stands for. */
  private Path data(boolean classes, String name) throws IOException {
    StringBuilder all = new StringBuilder(classes ? "text,label\n" : "");
    boolean alpaca = name.contains("alpaca");
    for (int i = 0; i < 64; i++) {
      String noun = NOUNS[i % NOUNS.length];
      String other = NOUNS[(i + 1) % NOUNS.length];
      if (classes) {
        all.append("the %s is %s,%s\n".formatted(noun, i % 2 == 0 ? "big" : "old", i % 2));
      } else if (alpaca) {
        String row = "{\"instruction\": \"Say it.\", \"input\": \"%s\", \"output\": \"the %s\"}";
        all.append(i == 0 ? "[" : ",\n").append(row.formatted(noun, noun));
      } else if (name.contains("chat")) {
        String turn = "{\"role\": \"%s\", \"content\": \"the %s is big.\"}";
        String turns = turn.formatted("user", noun) + ", " + turn.formatted("assistant", other);
        all.append("{\"messages\": [").append(turns).append("]}\n");
      } else if (name.contains("pairs")) {
        String row =
            "{\"prompt\": \"the %s\", \"chosen\": \" is big.\", \"rejected\": \" is a %s.\"}\n";
        all.append(row.formatted(noun, other));
      } else {
        String some = sentences(10);
        all.append(name.endsWith(".jsonl") ? "{\"text\": \"%s\"}\n".formatted(some.strip()) : some);
      }
    }
    all.append(alpaca ? "]" : "");
    return Files.writeString(dir.resolve(Path.of(name).getFileName().toString()), all);
  }

  private static String sentences(int count) {
    StringBuilder text = new StringBuilder();
    for (int i = 0; i < count; i++) {
      text.append(
          "Once there was a %s. It is %s. ".formatted(NOUNS[i % 6], i % 5 == 0 ? "old" : "big"));
    }
    return text.append('\n').toString();
  }

  /** The lines of a page's shell blocks that begin with {@code javelin}, as words. */
  private static List<List<String>> commands(String page) {
    List<List<String>> commands = new ArrayList<>();
    Matcher blocks = SHELL.matcher(page);
    while (blocks.find()) {
      for (String line : blocks.group(1).replace("\\\n", " ").lines().toList()) {
        if (line.startsWith("javelin ")) {
          String said = line.substring("javelin ".length()).replaceFirst("\\s+#.*", "");
          List<String> words = new ArrayList<>();
          Matcher word = WORD.matcher(said);
          while (word.find()) {
            words.add(word.group(1) == null ? word.group(2) : word.group(1));
          }
          commands.add(words);
        }
      }
    }
    return commands;
  }

  /** The YAML of a page, in a file of the name that stands in its first line. */
  private Path config(String page) throws IOException {
    Matcher yaml = YAML.matcher(page);
    assertThat(yaml.find()).as("YAML that begins with its name: # name.yaml").isTrue();
    Path config = Files.writeString(dir.resolve(yaml.group(2)), yaml.group(1));
    assertThat(yaml.find()).as("more than one YAML").isFalse();
    return config;
  }

  private static void assertFalling(List<Double> losses) {
    assertThat(losses).hasSize(24);
    assertThat(mean(losses.subList(16, 24)))
        .as(losses.toString())
        .isLessThan(mean(losses.subList(0, 8)));
  }

  /** Runs a command of the page, a line of a conversation at its standard input. */
  private void follow(List<String> command) {
    List<String> words = new ArrayList<>();
    for (int i = 0; i < command.size(); i++) {
      String word = command.get(i);
      if (i > 0 && command.get(i - 1).equals("--output-dir")) {
        places.put(word, dir.resolve(word));
      }
      words.add(place(word));
    }
    InputStream in = System.in;
    try {
      System.setIn(new ByteArrayInputStream("the cat\n".getBytes(UTF_8)));
      succeed(words.toArray(new String[0]));
    } finally {
      System.setIn(in);
    }
  }

  private String place(String word) {
    for (Map.Entry<String, Path> known : places.entrySet()) {
      if (word.equals(known.getKey()) || word.startsWith(known.getKey() + "/")) {
        return known.getValue() + word.substring(known.getKey().length());
      }
    }
    return word;
  }

  /** Files that a table of the page says {@code last/} has. */
  private static List<String> files(String page) {
    return Pattern.compile("(?m)^\\| `([\\w.]+\\.(?:json|safetensors|jinja))` \\|")
        .matcher(page)
        .results()
        .map(r -> r.group(1))
        .toList();
  }

  private static List<Double> losses(Path metrics) throws IOException {
    List<Double> losses = new ArrayList<>();
    for (String line : Files.readAllLines(metrics)) {
      Matcher loss = Pattern.compile("\"loss\": ?([-+.\\deE]+)").matcher(line);
      if (loss.find()) {
        losses.add(Double.valueOf(loss.group(1)));
      }
    }
    return losses;
  }

  private static double mean(List<Double> values) {
    return values.stream().mapToDouble(v -> v).average().orElseThrow();
  }

  private static String succeed(String... command) {
    CommandLineTest.Result result = CommandLineTest.run(command);
    assertThat(result.exit()).as(String.join(" ", command) + "\n" + result.err()).isZero();
    return result.out();
  }

  private static String read(Path page) {
    try {
      return Files.readString(page);
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }
}
