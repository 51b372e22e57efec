package dev.javelin.nn.adapter;

import java.nio.file.Path;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.SequencedMap;
import org.jspecify.annotations.Nullable;

/**
 * Which layers get an adapter of low rank, and of what kind: {@code y = x·Wᵀ + b + s·(x·Aᵀ)·Bᵀ}
 * with A [r, in], B [out, r] and s = alpha / r. Names are those of PEFT: of modules in files,
 * {@code model.layers.0.self_attn.q_proj}.
 *
 * <pre>{@code
 * LoraConfig.of(8)
 * LoraConfig.of(16).withAlpha(16).withTargets(new Targets.Named(List.of("q_proj", "v_proj")))
 * }</pre>
 *
 * @param rank r, where {@code rankPattern} says nothing else
 * @param alpha likewise
 * @param dropout of the adapter's input, in training
 * @param targets which linear layers
 * @param exclude those of them that get none; {@code null} for none
 * @param layers the only layers that get one; {@code null} for all
 * @param layersPattern names of the lists that those are counted in; empty for any
 * @param rankPattern ranks by regular expressions of names' ends; the first that fits counts
 * @param alphaPattern alphas likewise
 * @param rslora s = alpha / √r instead
 * @param dora each row of W + s·B·A has a length of its own, which is trained
 * @param modulesToSave ends of names of modules that are trained whole, in a copy
 * @param base {@code base_model_name_or_path}: where the model is; {@code null} where nobody said
 * @see <a href="https://arxiv.org/abs/2106.09685">Hu et al. 2021, LoRA</a>
 * @see <a href="https://arxiv.org/abs/2312.03732">Kalajdzievski 2023, rsLoRA</a>
 * @see <a href="https://arxiv.org/abs/2402.09353">Liu et al. 2024, DoRA</a>
 */
public record LoraConfig(
    int rank,
    double alpha,
    double dropout,
    Targets targets,
    @Nullable Targets exclude,
    @Nullable List<Integer> layers,
    List<String> layersPattern,
    SequencedMap<String, Integer> rankPattern,
    SequencedMap<String, Double> alphaPattern,
    boolean rslora,
    boolean dora,
    List<String> modulesToSave,
    @Nullable String base) {
  /** Beyond the width of any layer in use. */
  public static final int MOST_RANK = 1 << 16;

  /** A set of modules. */
  public sealed interface Targets {
    /** Every linear layer; the head is none. */
    record AllLinear() implements Targets {}

    /** Modules of these names, whole or from a dot on. */
    record Named(List<String> names) implements Targets {
      public Named {
        names = List.copyOf(names);
      }
    }

    /** Modules whose whole names a regular expression matches. */
    record Matching(String regex) implements Targets {
      public Matching {
        ModuleNames.compile(regex);
      }
    }

    /** Whether a module belongs to it that is a linear layer. */
    default boolean has(String module) {
      return switch (this) {
        case AllLinear() -> true;
        case Named(List<String> names) -> ModuleNames.isOneOf(module, names);
        case Matching(String regex) -> ModuleNames.matches(regex, module);
      };
    }
  }

  /**
   * @throws IllegalArgumentException for values outside their ranges and patterns that are none
   */
  public LoraConfig {
    requireRank("the rank", rank);
    requireAlpha("alpha", alpha);
    require(dropout >= 0 && dropout < 1, "dropout must lie in [0, 1), got " + dropout);
    layers = layers == null ? null : List.copyOf(layers);
    layersPattern = List.copyOf(layersPattern);
    layersPattern.forEach(ModuleNames::compile);
    rankPattern = Collections.unmodifiableSequencedMap(new LinkedHashMap<>(rankPattern));
    rankPattern.forEach((key, r) -> requireRank("the rank of " + key, r));
    alphaPattern = Collections.unmodifiableSequencedMap(new LinkedHashMap<>(alphaPattern));
    alphaPattern.forEach((key, a) -> requireAlpha("alpha of " + key, a));
    rankPattern.keySet().forEach(ModuleNames::compile);
    alphaPattern.keySet().forEach(ModuleNames::compile);
    modulesToSave = List.copyOf(modulesToSave);
  }

  private static void requireRank(String what, int rank) {
    require(
        rank >= 1 && rank <= MOST_RANK,
        what + " must lie between 1 and " + MOST_RANK + ", got " + rank);
  }

  private static void requireAlpha(String what, double alpha) {
    require(
        alpha > 0 && alpha <= Float.MAX_VALUE,
        what + " must be more than 0 and finite, got " + alpha);
  }

  private static void require(boolean holds, String message) {
    if (!holds) {
      throw new IllegalArgumentException(message);
    }
  }

  /** On all linear layers, with alpha = 2·rank. */
  public static LoraConfig of(int rank) {
    return new LoraConfig(
        rank,
        2.0 * rank,
        0,
        new Targets.AllLinear(),
        null,
        null,
        List.of(),
        Collections.emptyNavigableMap(),
        Collections.emptyNavigableMap(),
        false,
        false,
        List.of(),
        null);
  }

  public LoraConfig withAlpha(double value) {
    return copy(value, dropout, targets, rslora, dora, modulesToSave, base);
  }

  public LoraConfig withDropout(double value) {
    return copy(alpha, value, targets, rslora, dora, modulesToSave, base);
  }

  public LoraConfig withTargets(Targets value) {
    return copy(alpha, dropout, value, rslora, dora, modulesToSave, base);
  }

  public LoraConfig withRslora(boolean value) {
    return copy(alpha, dropout, targets, value, dora, modulesToSave, base);
  }

  public LoraConfig withDora(boolean value) {
    return copy(alpha, dropout, targets, rslora, value, modulesToSave, base);
  }

  public LoraConfig withModulesToSave(List<String> value) {
    return copy(alpha, dropout, targets, rslora, dora, value, base);
  }

  public LoraConfig withBase(@Nullable String value) {
    return copy(alpha, dropout, targets, rslora, dora, modulesToSave, value);
  }

  /** Other ranks and alphas for modules whose names end as regular expressions say. */
  public LoraConfig withPatterns(Map<String, Integer> ranks, Map<String, Double> alphas) {
    return new LoraConfig(
        rank,
        alpha,
        dropout,
        targets,
        exclude,
        layers,
        layersPattern,
        new LinkedHashMap<>(ranks),
        new LinkedHashMap<>(alphas),
        rslora,
        dora,
        modulesToSave,
        base);
  }

  private LoraConfig copy(
      double newAlpha,
      double newDropout,
      Targets newTargets,
      boolean newRslora,
      boolean newDora,
      List<String> newModulesToSave,
      @Nullable String newBase) {
    return new LoraConfig(
        rank,
        newAlpha,
        newDropout,
        newTargets,
        exclude,
        layers,
        layersPattern,
        rankPattern,
        alphaPattern,
        newRslora,
        newDora,
        newModulesToSave,
        newBase);
  }

  /**
   * {@code adapter_config.json} of a directory.
   *
   * @throws dev.javelin.tensor.io.FileFormatException if it is missing or damaged, is of another
   *     kind than LoRA, or sets a key that changes the mathematics to what this engine does not
   *     have
   */
  public static LoraConfig read(Path directory) {
    return AdapterJson.read(directory);
  }

  /** Whether a linear layer gets an adapter, by the name of its module. */
  public boolean adapts(String module) {
    if (exclude != null && exclude.has(module) || !targets.has(module)) {
      return false;
    }
    if (layers == null || targets instanceof Targets.Named(List<String> n) && n.contains(module)) {
      return true;
    }
    return layers.contains(ModuleNames.layer(module, layersPattern));
  }

  /** Whether a module is trained whole. */
  public boolean saves(String module) {
    return modulesToSave.stream().anyMatch(module::endsWith);
  }

  /** r of a module. */
  public int rank(String module) {
    return ModuleNames.key(rankPattern.keySet(), module)
        .map(key -> rankPattern.getOrDefault(key, rank))
        .orElse(rank);
  }

  /** s of a module. */
  public double scale(String module) {
    double a =
        ModuleNames.key(alphaPattern.keySet(), module)
            .map(key -> alphaPattern.getOrDefault(key, alpha))
            .orElse(alpha);
    int r = rank(module);
    return rslora ? a / Math.sqrt(r) : a / r;
  }

  /** Kind and size in a few words: {@code LoRA of rank 8, alpha 16}. */
  public String describe() {
    return "%s of rank %d%s, alpha %s%s%s%s"
        .formatted(
            dora ? "DoRA" : "LoRA",
            rank,
            rankPattern.isEmpty() ? "" : " " + rankPattern,
            alpha,
            alphaPattern.isEmpty() ? "" : " " + alphaPattern,
            rslora ? " over √r" : "",
            modulesToSave.isEmpty() ? "" : ", with " + String.join(", ", modulesToSave));
  }
}
