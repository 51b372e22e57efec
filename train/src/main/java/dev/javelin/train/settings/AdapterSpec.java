package dev.javelin.train.settings;

import dev.javelin.nn.adapter.LoraConfig;
import dev.javelin.nn.adapter.LoraConfig.Targets;
import dev.javelin.train.data.InputException;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.function.Function;
import org.jspecify.annotations.Nullable;

/**
 * Adapters of low rank that are trained in the model's stead, see {@link LoraConfig}. They are on
 * where {@code lora} or {@code adapter} is given; the others say nothing without one of these.
 *
 * @param lora the rank
 * @param loraAlpha {@code null} for twice the rank
 * @param loraDropout of the adapters' input
 * @param loraTargets {@code all-linear}, names of modules with commas between them, or a regular
 *     expression of whole names
 * @param loraRankPattern ranks of modules of their own, {@code q_proj=4,v_proj=8}
 * @param loraAlphaPattern alphas likewise
 * @param rslora scale by alpha over the root of the rank
 * @param dora train the length of each row apart
 * @param loraPlusRatio learning rate of each B as a multiple of the others'
 * @param modulesToSave modules that are trained whole, with commas between them
 * @param adapter directory of an adapter to go on from
 */
public record AdapterSpec(
    @Also({"lora_r", "lora_rank"}) @Nullable Integer lora,
    @Nullable Double loraAlpha,
    @Nullable Double loraDropout,
    @Also({"lora_target_modules", "target_modules"}) @Nullable String loraTargets,
    @Also({"rank_pattern"}) @Nullable String loraRankPattern,
    @Also({"alpha_pattern"}) @Nullable String loraAlphaPattern,
    @Also({"use_rslora"}) boolean rslora,
    @Also({"use_dora"}) boolean dora,
    @Also({"loraplus_lr_ratio"}) double loraPlusRatio,
    @Also({"lora_modules_to_save"}) @Nullable String modulesToSave,
    @Nullable Path adapter) {
  /** No adapters. */
  public static final AdapterSpec DEFAULT =
      new AdapterSpec(null, null, null, null, null, null, false, false, 1, null, null);

  private static final String ALL_LINEAR = "all-linear";

  public AdapterSpec {
    Checks.require(
        lora == null || lora >= 1 && lora <= LoraConfig.MOST_RANK,
        "--lora must lie between 1 and " + LoraConfig.MOST_RANK + ", got " + lora);
    Checks.require(
        loraAlpha == null || loraAlpha > 0 && loraAlpha <= Float.MAX_VALUE,
        "--lora-alpha must be more than 0, and finite, got " + loraAlpha);
    Checks.require(
        loraDropout == null || loraDropout >= 0 && loraDropout < 1,
        "--lora-dropout must lie between 0 and 1 (exclusive), got " + loraDropout);
    Checks.require(
        loraPlusRatio > 0 && loraPlusRatio <= Float.MAX_VALUE,
        "--lora-plus-ratio must be more than 0, and finite, got " + loraPlusRatio);
  }

  public AdapterSpec withLora(@Nullable Integer value) {
    return Components.with(this, "lora", value);
  }

  public AdapterSpec withLoraAlpha(@Nullable Double value) {
    return Components.with(this, "loraAlpha", value);
  }

  public AdapterSpec withLoraDropout(@Nullable Double value) {
    return Components.with(this, "loraDropout", value);
  }

  public AdapterSpec withLoraTargets(@Nullable String value) {
    return Components.with(this, "loraTargets", value);
  }

  public AdapterSpec withLoraRankPattern(@Nullable String value) {
    return Components.with(this, "loraRankPattern", value);
  }

  public AdapterSpec withLoraAlphaPattern(@Nullable String value) {
    return Components.with(this, "loraAlphaPattern", value);
  }

  public AdapterSpec withRslora(boolean value) {
    return Components.with(this, "rslora", value);
  }

  public AdapterSpec withDora(boolean value) {
    return Components.with(this, "dora", value);
  }

  public AdapterSpec withLoraPlusRatio(double value) {
    return Components.with(this, "loraPlusRatio", value);
  }

  public AdapterSpec withModulesToSave(@Nullable String value) {
    return Components.with(this, "modulesToSave", value);
  }

  public AdapterSpec withAdapter(@Nullable Path value) {
    return Components.with(this, "adapter", value);
  }

  /** Whether adapters are trained in the model's stead. */
  public boolean isOn() {
    return lora != null || adapter != null;
  }

  /**
   * Refuses values that do not go together.
   *
   * @throws InputException naming the flags
   */
  public void check() {
    boolean kind =
        loraAlpha != null
            || loraTargets != null
            || loraRankPattern != null
            || loraAlphaPattern != null
            || rslora
            || dora
            || modulesToSave != null;
    Checks.require(
        adapter == null || lora == null && !kind,
        "--adapter brings its rank, alpha, kind and targets: leave out --lora and the flags that say those");
    Checks.require(
        isOn() || !kind && loraDropout == null && loraPlusRatio == 1,
        "there is no adapter that flags of adapters could be about: --lora R adds one of rank R");
  }

  /**
   * What these settings ask for; {@code null} where they do not say it, but {@code adapter} does.
   *
   * @throws InputException for names and patterns that are none
   */
  public @Nullable LoraConfig config() {
    if (lora == null) {
      return null;
    }
    try {
      return LoraConfig.of(lora)
          .withAlpha(loraAlpha == null ? 2.0 * lora : loraAlpha)
          .withDropout(loraDropout == null ? 0 : loraDropout)
          .withTargets(targets())
          .withPatterns(
              pattern("--lora-rank-pattern", loraRankPattern, Integer::valueOf),
              pattern("--lora-alpha-pattern", loraAlphaPattern, Double::valueOf))
          .withRslora(rslora)
          .withDora(dora)
          .withModulesToSave(modulesToSave == null ? List.of() : names(modulesToSave));
    } catch (IllegalArgumentException e) {
      throw new InputException("--lora: " + e.getMessage(), e);
    }
  }

  private Targets targets() {
    if (loraTargets == null || loraTargets.equals(ALL_LINEAR)) {
      return new Targets.AllLinear();
    }
    return loraTargets.matches("[\\w.,\\- ]*")
        ? new Targets.Named(names(loraTargets))
        : new Targets.Matching(loraTargets);
  }

  private static List<String> names(String list) {
    List<String> names =
        Arrays.stream(list.split(",", -1)).map(String::strip).filter(n -> !n.isEmpty()).toList();
    if (names.isEmpty()) {
      throw new IllegalArgumentException("a list of modules is empty");
    }
    return names;
  }

  private static <T> Map<String, T> pattern(
      String flag, @Nullable String text, Function<String, T> number) {
    Map<String, T> values = new LinkedHashMap<>();
    for (String entry : text == null ? List.<String>of() : names(text)) {
      int equals = entry.lastIndexOf('=');
      try {
        values.put(
            entry.substring(0, Math.max(0, equals)), number.apply(entry.substring(equals + 1)));
      } catch (NumberFormatException e) {
        throw new InputException(flag + " must be of the form q_proj=4,v_proj=8, got " + text, e);
      }
      if (equals < 1) {
        throw new InputException(flag + " must be of the form q_proj=4,v_proj=8, got " + text);
      }
    }
    return values;
  }
}
