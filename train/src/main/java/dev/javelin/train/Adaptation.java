package dev.javelin.train;

import dev.javelin.nn.Grouping;
import dev.javelin.nn.ParameterBuffer;
import dev.javelin.nn.Precision;
import dev.javelin.nn.Transformer;
import dev.javelin.nn.adapter.Adapters;
import dev.javelin.nn.adapter.LoraConfig;
import dev.javelin.tensor.io.FileFormatException;
import dev.javelin.tensor.io.Printable;
import dev.javelin.train.data.InputException;
import dev.javelin.train.settings.AdapterSpec;
import dev.javelin.train.settings.OptimizerSpec;
import java.nio.file.Files;
import java.nio.file.InvalidPathException;
import java.nio.file.LinkOption;
import java.nio.file.Path;
import java.util.Locale;
import java.util.Objects;
import org.jspecify.annotations.Nullable;

/**
 * Adapters beside a model, and the model that computes with them.
 *
 * @param parameters its own
 * @param model shares the base's parameters
 * @param sharesBase whether the base belongs to somebody else, who closes it
 */
public record Adaptation(
    ParameterBuffer<Adapters> parameters, Transformer model, boolean sharesBase) {
  private static final String CONFIG = "adapter_config.json";

  static Adaptation of(
      ParameterBuffer<Adapters> parameters, ParameterBuffer<Transformer> base, boolean sharesBase) {
    return new Adaptation(parameters, parameters.model().on(base.model()), sharesBase);
  }

  /** Whether a directory holds an adapter. */
  static boolean isIn(Path directory) {
    return Files.exists(directory.resolve(CONFIG), LinkOption.NOFOLLOW_LINKS);
  }

  /**
   * The directory of the model that an adapter was trained beside: a path as it stands in its
   * configuration, from here or from the adapter's own directory.
   *
   * @throws FileFormatException where it is not there
   */
  static Path base(Path directory) {
    String name = LoraConfig.read(directory).base();
    if (name == null) {
      throw new FileFormatException(
          directory.resolve(CONFIG),
          "does not say which model it is for",
          "name that: --model BASE --adapter " + directory);
    }
    try {
      for (Path candidate : new Path[] {Path.of(name), directory.resolve(name)}) {
        if (Files.isRegularFile(candidate.resolve("config.json"))) {
          return candidate;
        }
      }
    } catch (InvalidPathException e) {
      // no path at all: refused below
    }
    throw new FileFormatException(
        directory.resolve(CONFIG),
        "is for the model " + Printable.brief(name, 200) + ", which is no directory here",
        "name the directory of that model: --model BASE --adapter " + directory);
  }

  /** The adapter of a directory, not to be trained. */
  static ParameterBuffer<Adapters> load(
      ParameterBuffer<Transformer> base, Precision precision, Path directory) {
    return Adapters.load(
        base, precision, LoraConfig.read(directory), Grouping.frozen(), 1, directory);
  }

  /** What the settings ask for, without its weights: for what a run must share with its resumer. */
  static @Nullable LoraConfig config(AdapterSpec spec, @Nullable Path checkpoint) {
    if (!spec.isOn()) {
      return null;
    }
    LoraConfig asked = spec.config();
    if (asked == null) {
      asked =
          LoraConfig.read(checkpoint == null ? Objects.requireNonNull(spec.adapter()) : checkpoint);
      asked = spec.loraDropout() == null ? asked : asked.withDropout(spec.loraDropout());
    }
    return asked;
  }

  /**
   * Adapters to be trained: those of a checkpoint or of {@code --adapter}, else fresh ones.
   *
   * @param home the base's directory, for the adapter's configuration
   */
  static ParameterBuffer<Adapters> open(
      ParameterBuffer<Transformer> base,
      Precision precision,
      AdapterSpec spec,
      OptimizerSpec optimizer,
      long seed,
      Path home,
      @Nullable Path checkpoint) {
    LoraConfig config =
        Objects.requireNonNull(config(spec, checkpoint))
            .withBase(home.toAbsolutePath().normalize().toString());
    float ratio = (float) spec.loraPlusRatio();
    Path from = checkpoint == null ? spec.adapter() : checkpoint;
    if (from != null) {
      return Adapters.load(base, precision, config, optimizer.groups(), ratio, from);
    }
    try {
      return Adapters.create(base, precision, config, optimizer.groups(), ratio, seed);
    } catch (IllegalArgumentException e) {
      throw new InputException("--lora: " + e.getMessage(), e);
    }
  }

  /** Kind, place and size in a line. */
  String describe() {
    Adapters a = parameters.model();
    return String.format(
        Locale.ROOT,
        "%s on %d layers: %,d trained parameters; the base stays as it is",
        a.config().describe(),
        a.modules().size(),
        parameters.size());
  }
}
