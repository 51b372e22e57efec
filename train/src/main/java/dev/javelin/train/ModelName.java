package dev.javelin.train;

import dev.javelin.nn.HuggingFace;
import dev.javelin.nn.TransformerConfig;
import dev.javelin.nn.family.Presets;
import dev.javelin.train.data.InputException;
import dev.javelin.train.run.RunDirectory;
import dev.javelin.train.settings.ModelSpec;
import dev.javelin.train.settings.Names;
import java.nio.file.Files;
import java.nio.file.InvalidPathException;
import java.nio.file.Path;
import java.util.function.Consumer;
import org.jspecify.annotations.Nullable;

/**
 * What {@code --model} stands for.
 *
 * @param text as it was given
 * @param preset its name, {@code null} for a directory
 */
record ModelName(String text, @Nullable String preset) {
  private static final String PREFIX = "preset:";

  /**
   * A preset or a directory.
   *
   * @throws InputException where it could be either, or is a preset that does not exist
   */
  static ModelName of(String text) {
    return of(text, Path.of(""));
  }

  /**
   * @param here where relative names begin
   */
  static ModelName of(String text, Path here) {
    if (text.startsWith(PREFIX)) {
      String name = text.substring(PREFIX.length());
      if (!Presets.all().containsKey(name)) {
        throw new InputException(
            "--model "
                + text
                + ": there is no such preset"
                + Names.nearest(name, Presets.all().keySet())
                    .map(n -> ": did you mean " + PREFIX + n + "?")
                    .orElse(": --list-models lists them"));
      }
      return new ModelName(text, name);
    }
    if (!Presets.all().containsKey(text)) {
      return new ModelName(text, null);
    }
    // A run may well be called as its model: its directory is no model.
    Path directory = here.resolve(text);
    if (Files.isDirectory(directory)
        && !Files.exists(directory.resolve(RunDirectory.CONFIG_FILE))) {
      throw new InputException(
          "--model %s is both a preset and a directory here: --model preset:%s is the preset, --model ./%s the directory"
              .formatted(text, text, text));
    }
    return new ModelName(text, text);
  }

  /** The directory; {@code null} for a preset. */
  @Nullable Path directory() {
    return preset == null ? path() : null;
  }

  Path path() {
    try {
      return Path.of(text);
    } catch (InvalidPathException e) {
      throw new InputException("--model " + text + " is not a valid path: " + e.getReason(), e);
    }
  }

  /** Whether it is a preset, or a directory that is there. */
  boolean exists() {
    return preset != null || Files.isDirectory(path());
  }

  /** The architecture. */
  TransformerConfig config() {
    return config(note -> {});
  }

  /**
   * The same.
   *
   * @param notes takes a line for each key of a configuration that was passed over
   */
  TransformerConfig config(Consumer<String> notes) {
    if (preset != null) {
      return Presets.named(preset);
    }
    if (!exists()) {
      throw new InputException(
          "--model "
              + text
              + " is neither a directory nor a preset"
              + Names.nearest(text, Presets.all().keySet())
                  .map(n -> ": did you mean " + n + "?")
                  .orElse(": --list-models lists the presets"));
    }
    HuggingFace.hasWeights(path()); // refuses those in a form that is not read
    return LanguageModel.readConfig(path(), notes);
  }

  /** The tokenizer that goes with a preset, {@code null} where there is none. */
  @Nullable String tokenizer() {
    if (preset == null) {
      return null;
    }
    return preset.equals(ModelSpec.DEFAULT.model())
        ? "bpe"
        : preset.contains("shakespeare") ? "char" : null;
  }
}
