package dev.javelin.nn;

import dev.javelin.tensor.io.JsonObject;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import java.util.function.Consumer;
import org.jspecify.annotations.Nullable;

/**
 * Rotary positions in {@code config.json}: {@code rope_theta} and {@code rope_scaling} of
 * transformers 4, {@code rope_parameters} of transformers 5. Where both stand they must agree.
 */
public final class RopeJson {
  private static final String FULL = "full_attention";
  private static final String SLIDING = "sliding_attention";
  private static final String ORIGINAL = "original_max_position_embeddings";
  private static final int MOST_POSITIONS = 1 << 24;

  private static final Set<String> COMMON =
      Set.of("rope_type", "type", "rope_theta", "partial_rotary_factor");
  private static final Set<String> LINEAR = Set.of("factor");
  private static final Set<String> LLAMA3 =
      Set.of("factor", "low_freq_factor", "high_freq_factor", "original_max_position_embeddings");
  private static final Set<String> YARN =
      Set.of(
          "factor",
          "beta_fast",
          "beta_slow",
          "attention_factor",
          "mscale",
          "mscale_all_dim",
          "truncate",
          "original_max_position_embeddings");
  private static final Set<String> LONGROPE =
      Set.of(
          "factor",
          "short_factor",
          "long_factor",
          "attention_factor",
          "original_max_position_embeddings");

  private RopeJson() {}

  static RopeConfig read(
      JsonObject json, String thetaKey, double absent, int positions, Consumer<String> notes) {
    double theta = json.number(thetaKey, absent);
    RopeConfig classic = new RopeConfig(theta(json, theta), new RopeConfig.None());
    if (json.has("rope_scaling") && !json.object("rope_scaling").members().isEmpty()) {
      classic =
          parameters(
              json.object("rope_scaling"), theta, original(json, positions), positions, notes);
    }
    if (!json.has("rope_parameters") || json.object("rope_parameters").members().isEmpty()) {
      return classic;
    }
    RopeConfig current =
        parameters(
            json.object("rope_parameters"), theta, original(json, positions), positions, notes);
    boolean contradicts =
        (json.has(thetaKey) && classic.theta() != current.theta())
            || (json.has("rope_scaling") && !classic.equals(current));
    if (contradicts) {
      throw json.error("rope_parameters", "contradicts rope_theta or rope_scaling beside it");
    }
    return current;
  }

  /** Of layers without a window, and of those with one. */
  static List<RopeConfig> readPair(
      JsonObject json,
      String thetaKey,
      double absent,
      String localKey,
      double localAbsent,
      int positions,
      Consumer<String> notes) {
    boolean nested =
        json.has("rope_parameters")
            && (json.object("rope_parameters").has(FULL)
                || json.object("rope_parameters").has(SLIDING));
    if (!nested) {
      double local = json.number(localKey, localAbsent);
      return List.of(
          read(json, thetaKey, absent, positions, notes), RopeConfig.of(theta(json, local)));
    }
    JsonObject both = json.object("rope_parameters");
    for (String key : both.members().keySet()) {
      if (!Set.of(FULL, SLIDING).contains(key)) {
        throw both.error(key, "is not expected beside " + FULL + " and " + SLIDING);
      }
    }
    double theta = json.number(thetaKey, absent);
    double local = json.number(localKey, localAbsent);
    RopeConfig full = part(both, FULL, theta(json, theta), positions, notes);
    RopeConfig sliding = part(both, SLIDING, theta(json, local), positions, notes);
    RopeConfig classic = new RopeConfig(theta, new RopeConfig.None());
    if (json.has("rope_scaling") && !json.object("rope_scaling").members().isEmpty()) {
      classic =
          parameters(
              json.object("rope_scaling"), theta, original(json, positions), positions, notes);
    }
    if ((json.has(thetaKey) && classic.theta() != full.theta())
        || (json.has("rope_scaling") && !classic.equals(full))
        || (json.has(localKey) && local != sliding.theta())) {
      throw json.error("rope_parameters", "contradicts rope_theta or rope_scaling beside it");
    }
    return List.of(full, sliding);
  }

  /** Phi-3 says it beside the scaling. */
  private static int original(JsonObject json, int positions) {
    return json.integer(ORIGINAL, 1, MOST_POSITIONS, positions);
  }

  private static RopeConfig part(
      JsonObject both, String kind, double theta, int positions, Consumer<String> notes) {
    return both.has(kind)
        ? parameters(both.object(kind), theta, positions, positions, notes)
        : RopeConfig.of(theta);
  }

  private static double theta(JsonObject json, double theta) {
    if (!(theta > 1 && theta < 1e30)) {
      throw json.error("rope_theta", "must be greater than 1, got " + theta);
    }
    return theta;
  }

  private static RopeConfig parameters(
      JsonObject json,
      double outerTheta,
      int outerOriginal,
      int positions,
      Consumer<String> notes) {
    String type = json.text("rope_type", json.text("type", "default"));
    double theta = theta(json, json.number("rope_theta", outerTheta));
    RopeConfig.Scaling scaling =
        switch (type) {
          case "default" -> only(json, notes, Set.of(), new RopeConfig.None());
          case "linear" -> only(json, notes, LINEAR, new RopeConfig.Linear(factor(json)));
          case "llama3" -> only(json, notes, LLAMA3, llama3(json));
          case "yarn" -> only(json, notes, YARN, yarn(json, positions));
          case "dynamic" ->
              only(json, notes, LINEAR, new RopeConfig.Dynamic(factor(json), positions));
          case "longrope", "su" ->
              only(json, notes, LONGROPE, longRope(json, outerOriginal, positions));
          default ->
              throw json.error(
                  "rope_type",
                  "must be default, linear, llama3, yarn, dynamic or longrope, got \"%s\""
                      .formatted(type));
        };
    return new RopeConfig(theta, scaling);
  }

  private static RopeConfig.Scaling only(
      JsonObject json, Consumer<String> notes, Set<String> keys, RopeConfig.Scaling scaling) {
    for (String key : json.members().keySet()) {
      if (json.has(key) && !keys.contains(key) && !COMMON.contains(key)) {
        switch (ConfigKeys.judge(key, json.members().get(key))) {
          case NOTED -> notes.accept(json.file() + ": " + json.prefix() + key + " is ignored");
          case INERT -> {}
          case MAY_MATTER -> throw json.error(key, "is not supported for this rope_type");
        }
      }
    }
    return scaling;
  }

  private static RopeConfig.Scaling llama3(JsonObject json) {
    double low = positive(json, "low_freq_factor", json.number("low_freq_factor"));
    double high = positive(json, "high_freq_factor", json.number("high_freq_factor"));
    if (high <= low) {
      throw json.error("high_freq_factor", "must be greater than low_freq_factor, got " + high);
    }
    int original = json.integer("original_max_position_embeddings", 1, MOST_POSITIONS);
    return new RopeConfig.Llama3(factor(json), low, high, original);
  }

  private static RopeConfig.Scaling yarn(JsonObject json, int positions) {
    double factor = factor(json);
    double all = json.number("mscale_all_dim", 0);
    double natural =
        json.number("mscale", 0) == 0 || all == 0
            ? mscale(factor, 1)
            : mscale(factor, json.number("mscale", 0)) / mscale(factor, all);
    return new RopeConfig.Yarn(
        factor,
        positive(json, "beta_fast", json.number("beta_fast", 32)),
        positive(json, "beta_slow", json.number("beta_slow", 1)),
        positive(json, "attention_factor", json.number("attention_factor", natural)),
        json.integer("original_max_position_embeddings", 1, MOST_POSITIONS, positions),
        json.flag("truncate", true));
  }

  private static double mscale(double factor, double m) {
    return factor <= 1 ? 1 : 0.1 * m * StrictMath.log(factor) + 1;
  }

  private static RopeConfig.Scaling longRope(JsonObject json, int outerOriginal, int positions) {
    int original = json.integer(ORIGINAL, 1, MOST_POSITIONS, outerOriginal);
    double factor = positive(json, "factor", json.number("factor", (double) positions / original));
    double natural =
        factor <= 1 || original <= 1
            ? 1
            : Math.sqrt(1 + StrictMath.log(factor) / StrictMath.log(original));
    return new RopeConfig.LongRope(
        factors(json, "short_factor"),
        factors(json, "long_factor"),
        positive(json, "attention_factor", json.number("attention_factor", natural)),
        original);
  }

  private static List<Double> factors(JsonObject json, String key) {
    List<Double> factors = new ArrayList<>();
    for (Object value : json.array(key)) {
      factors.add(positive(json, key, value instanceof Number n ? n.doubleValue() : 0));
    }
    return factors;
  }

  /**
   * The longest sequence: {@code max_position_embeddings}, which dynamic scaling takes for the
   * original positions and stretches by its factor.
   */
  static int longest(JsonObject json, RopeConfig rope, int positions) {
    if (!(rope.scaling() instanceof RopeConfig.Dynamic s)) {
      return positions;
    }
    double longest = Math.max(1, s.factor()) * positions;
    if (longest > MOST_POSITIONS) {
      throw json.error(
          "max_position_embeddings",
          "times the factor of rope_type dynamic must be at most %d, got %.0f"
              .formatted(MOST_POSITIONS, longest));
    }
    return (int) longest;
  }

  /** What stands as {@code max_position_embeddings} for that longest sequence. */
  private static int original(RopeConfig rope, int longest) {
    return rope.scaling() instanceof RopeConfig.Dynamic s ? s.originalPositions() : longest;
  }

  private static double factor(JsonObject json) {
    return positive(json, "factor", json.number("factor"));
  }

  private static double positive(JsonObject json, String key, double value) {
    if (!(value > 1e-9 && value < 1e9)) {
      throw json.error(key, "must be a positive number, got " + value);
    }
    return value;
  }

  /**
   * Puts {@code max_position_embeddings}, {@code rope_theta}, {@code rope_scaling} and {@code
   * rope_parameters}; and {@code partial_rotary_factor} where not all of a head turns.
   *
   * @throws IllegalArgumentException where positions are not rotary
   */
  public static void write(Map<String, @Nullable Object> json, TransformerConfig config) {
    write(json, config, false);
  }

  /**
   * The same.
   *
   * @param share whether {@code partial_rotary_factor} is put in any case
   */
  public static void write(
      Map<String, @Nullable Object> json, TransformerConfig config, boolean share) {
    if (!(config.encoding() instanceof Encoding.Rotary rotary)) {
      throw new IllegalArgumentException(
          config.family().modelType() + " has rotary positions: " + config.encoding());
    }
    RopeConfig rope = rotary.rope();
    json.put("max_position_embeddings", original(rope, config.positions()));
    Map<String, Object> parameters = parameters(rope, config.positions());
    json.put("rope_scaling", parameters.size() > 1 ? new TreeMap<>(parameters) : null);
    parameters.put("rope_theta", rope.theta());
    json.put("rope_theta", rope.theta());
    if (rotary.local() != null) {
      Map<String, Object> local = parameters(rotary.local(), config.positions());
      local.put("rope_theta", rotary.local().theta());
      json.put("rope_local_base_freq", rotary.local().theta());
      parameters = new TreeMap<>(Map.of(FULL, parameters, SLIDING, local));
    } else if (share || rotary.share() != 1) {
      parameters.put("partial_rotary_factor", rotary.share());
      json.put("partial_rotary_factor", rotary.share());
    }
    json.put("rope_parameters", parameters);
  }

  private static Map<String, Object> parameters(RopeConfig rope, int positions) {
    Map<String, Object> parameters = new TreeMap<>();
    switch (rope.scaling()) {
      case RopeConfig.None() -> parameters.put("rope_type", "default");
      case RopeConfig.Linear(double factor) -> {
        parameters.put("rope_type", "linear");
        parameters.put("factor", factor);
      }
      case RopeConfig.Llama3 s -> {
        parameters.put("rope_type", "llama3");
        parameters.put("factor", s.factor());
        parameters.put("low_freq_factor", s.lowFreqFactor());
        parameters.put("high_freq_factor", s.highFreqFactor());
        parameters.put("original_max_position_embeddings", s.originalPositions());
      }
      case RopeConfig.Yarn s -> {
        parameters.put("rope_type", "yarn");
        parameters.put("factor", s.factor());
        parameters.put("beta_fast", s.betaFast());
        parameters.put("beta_slow", s.betaSlow());
        parameters.put("attention_factor", s.attentionFactor());
        parameters.put("original_max_position_embeddings", s.originalPositions());
        if (!s.truncate()) {
          parameters.put("truncate", false);
        }
      }
      case RopeConfig.Dynamic s -> {
        parameters.put("rope_type", "dynamic");
        parameters.put("factor", s.factor());
      }
      case RopeConfig.LongRope s -> {
        parameters.put("rope_type", "longrope");
        parameters.put("factor", (double) positions / s.originalPositions());
        parameters.put("short_factor", s.shortFactors());
        parameters.put("long_factor", s.longFactors());
        parameters.put("attention_factor", s.attentionFactor());
        parameters.put("original_max_position_embeddings", s.originalPositions());
      }
    }
    return parameters;
  }
}
