package dev.javelin.cli;

import static java.nio.charset.StandardCharsets.UTF_8;

import dev.javelin.tensor.io.AtomicFile;
import dev.javelin.train.FirstStep;
import dev.javelin.train.data.InputException;
import dev.javelin.train.settings.ModelSpec;
import dev.javelin.train.settings.RunSettings;
import dev.javelin.train.xray.Xray;
import dev.javelin.train.xray.XrayFile;
import dev.javelin.train.xray.XrayPage;
import java.io.IOException;
import java.io.InputStream;
import java.io.PrintWriter;
import java.nio.ByteBuffer;
import java.nio.charset.CharacterCodingException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.Callable;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Spec;

/** {@code javelin xray}: a training step on a text, taken apart on a page. */
@Command(
    name = "xray",
    mixinStandardHelpOptions = true,
    description =
        "Does the first training step of a model on a text, on the CPU, and takes it apart on a page that needs no network: tokens, tape, attention, residual stream, gradients, update, memory. For steps in the course of a training: javelin train --xray-at.")
final class XrayCommand implements Callable<Integer> {
  private static final String STDIN = "-";
  private static final int MOST_BYTES = 1 << 20;

  @Spec private @Nullable CommandSpec spec;

  @Option(
      names = {"--model", "--model-name-or-path"},
      paramLabel = "NAME|DIR",
      description =
          "Preset, its weights drawn from --seed, or Hugging Face directory. Default: ${DEFAULT-VALUE}.")
  private String model = ModelSpec.DEFAULT.model();

  @Option(
      names = "--text",
      paramLabel = "TEXT",
      description = "Text to look at, at most 256 tokens. Default: a sentence of its own.")
  private @Nullable String text;

  @Option(
      names = "--data",
      paramLabel = "FILE",
      description =
          "UTF-8 file to look at the beginning of, instead of --text; - for standard input. Default: none.")
  private @Nullable Path data;

  @Option(
      names = "--tokenizer",
      paramLabel = "byte|char|bpe|DIR",
      description = "Tokenizer. Default: the one that comes with the model, or byte.")
  private @Nullable String tokenizer;

  @Option(
      names = "--learning-rate",
      paramLabel = "LR",
      description = "Learning rate of the step. Default: as in training.")
  private @Nullable String learningRate;

  @Option(
      names = "--optimizer",
      paramLabel = "NAME",
      description = "Rule of the step. Default: as in training.")
  private @Nullable String optimizer;

  @Option(
      names = "--precision",
      paramLabel = "fp32|bf16|fp16",
      description = "Number format. Default: as in training.")
  private @Nullable String precision;

  @Option(names = "--seed", paramLabel = "N", description = "Seed of weights. Default: 1.")
  private @Nullable String seed;

  @Option(
      names = "--threads",
      paramLabel = "N",
      description = "CPU threads. Default: one per core.")
  private @Nullable String threads;

  @Option(
      names = {"-o", "--out", "--output"},
      paramLabel = "FILE",
      description = "Page to write. Default: ${DEFAULT-VALUE}.")
  private Path out = Path.of("xray.html");

  @Option(
      names = "--json",
      paramLabel = "FILE",
      description = "Where to write the same numbers as JSON, for tools. Default: nowhere.")
  private @Nullable Path json;

  @Override
  public Integer call() throws IOException {
    List<Path> targets = json == null ? List.of(out) : List.of(out, json);
    for (Path target : targets) {
      Path folder = target.toAbsolutePath().getParent();
      if (Files.isDirectory(target) || folder == null || !Files.isDirectory(folder)) {
        throw new InputException(
            target + " is no place for a file: name one in a directory that is there");
      }
    }
    if (text != null && data != null) {
      throw new InputException("--text and --data both say what to look at: give one");
    }
    List<String> notes = new ArrayList<>();
    String shown = data == null ? text : read(data);
    Xray xray = FirstStep.xray(settings(), shown, data != null, notes::add);
    AtomicFile.write(out, XrayPage.of(List.of(xray)));
    if (json != null) {
      XrayFile.write(json, List.of(xray));
    }
    Main.notes(spec, notes);
    PrintWriter answer = Main.out(spec);
    answer.printf(
        "xray: %s (%d tokens, loss %.4f before the step, %.4f after)%n",
        out, xray.tokens().size(), xray.loss().before(), xray.loss().after());
    answer.flush();
    return Main.OK;
  }

  private RunSettings settings() {
    Map<String, Object> given = new LinkedHashMap<>(Map.of("model", model, "device", "cpu"));
    put(given, "tokenizer", tokenizer);
    put(given, "learning_rate", learningRate);
    put(given, "optimizer", optimizer);
    put(given, "precision", precision);
    put(given, "seed", seed);
    put(given, "threads", threads);
    return RunSettings.DEFAULT.with(given);
  }

  private static void put(Map<String, Object> all, String key, @Nullable String value) {
    if (value != null) {
      all.put(key, value);
    }
  }

  private static String read(Path file) throws IOException {
    boolean stdin = file.toString().equals(STDIN);
    String name = stdin ? "standard input" : file.toString();
    byte[] bytes;
    try (InputStream in = stdin ? System.in : Files.newInputStream(file)) {
      bytes = in.readNBytes(MOST_BYTES);
    }
    int end = bytes.length;
    while (bytes.length == MOST_BYTES
        && end > 0
        && (bytes[--end] & 0xc0) == 0x80) {} // a whole character
    try {
      String text = UTF_8.newDecoder().decode(ByteBuffer.wrap(bytes, 0, end)).toString();
      return text.startsWith("\uFEFF") ? text.substring(1) : text;
    } catch (CharacterCodingException e) {
      throw new InputException(name + ": is not UTF-8 text: convert it with iconv", e);
    }
  }
}
