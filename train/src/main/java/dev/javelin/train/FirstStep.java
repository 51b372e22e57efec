package dev.javelin.train;

import dev.javelin.device.Device;
import dev.javelin.nn.TransformerConfig;
import dev.javelin.train.data.DefaultText;
import dev.javelin.train.data.InputException;
import dev.javelin.train.data.Texts;
import dev.javelin.train.settings.RunSettings;
import dev.javelin.train.tokenizer.Tokenizer;
import dev.javelin.train.xray.Xray;
import dev.javelin.train.xray.XrayStep;
import java.nio.file.Path;
import java.util.Objects;
import java.util.function.Consumer;
import org.jspecify.annotations.Nullable;

/** The first step that a run would do on a text, taken apart. */
public final class FirstStep {
  private FirstStep() {}

  /**
   * Takes an X-ray of a preset, its weights drawn from the seed, or of a directory's model, on the
   * CPU.
   *
   * @param settings of which model, tokenizer, precision, threads, seed, optimizer and schedule
   *     count
   * @param text to look at; {@code null} for {@link XrayStep#DEFAULT_TEXT}
   * @param cut whether a text that is too long is cut rather than refused
   * @param notes takes a line for each thing that the user should know
   * @throws InputException where model, tokenizer or text cannot be used
   */
  public static Xray xray(
      RunSettings settings, @Nullable String text, boolean cut, Consumer<String> notes) {
    ModelName name = ModelName.of(settings.model().model());
    TransformerConfig shape = name.config(notes);
    String shown = Objects.requireNonNullElse(text, XrayStep.DEFAULT_TEXT);
    Tokenizer tokenizer = tokenizer(settings, name, shown, notes);
    if (name.preset() != null) {
      shape = shape.withVocab(tokenizer.vocabSize()).withPositions(XrayStep.MOST_TOKENS);
    }
    try (Device device = Devices.open("cpu", settings.device().effectiveThreads(), shape).device();
        LanguageModel model = Run.model(settings, device, name, shape, null, tokenizer, notes)) {
      XrayStep step = XrayStep.of(model, title(name), settings);
      String fits = cut ? cut(shown, tokenizer, step.most(), notes) : shown;
      step.check(fits);
      return step.machine(XrayStep.measure(device, model.precision().weights())).on(fits);
    }
  }

  /** Of a directory its last name: pages are shown to others. */
  private static String title(ModelName name) {
    Path directory = name.directory();
    Path last = directory == null ? null : directory.toAbsolutePath().normalize().getFileName();
    return last == null ? name.text() : last.toString();
  }

  private static Tokenizer tokenizer(
      RunSettings settings, ModelName model, String text, Consumer<String> notes) {
    String named = Run.tokenizer(settings, model, null);
    if (named == null && model.preset() == null) {
      throw new InputException(
          model.text() + " has no tokenizer.json: name a tokenizer with --tokenizer");
    }
    if (named == null) {
      notes.accept(model.text() + " has no tokenizer of its own: bytes are its tokens");
      return Texts.of("", "").tokenizer("byte");
    }
    return switch (named) {
      case "bpe" -> DefaultText.load().tokenizer(named);
      case "char" -> Texts.of("the text", text).tokenizer(named);
      default -> Texts.of("", "").tokenizer(named);
    };
  }

  /** The beginning of a text that has so many tokens at most. */
  private static String cut(String text, Tokenizer tokenizer, int most, Consumer<String> notes) {
    String part = text;
    int tokens;
    while ((tokens = tokenizer.encodePrompt(part).length) > most) {
      int length = Math.min(part.length() - 1, (int) ((long) part.length() * most / tokens));
      boolean pair = length > 0 && Character.isHighSurrogate(part.charAt(length - 1));
      part = part.substring(0, pair ? length - 1 : length);
    }
    if (part.length() < text.length()) {
      notes.accept(
          "the first %,d characters are shown, %d tokens".formatted(part.length(), tokens));
    }
    return part;
  }
}
