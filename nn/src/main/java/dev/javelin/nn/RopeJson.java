package dev.javelin.nn;

import dev.javelin.tensor.JsonObject;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import org.jspecify.annotations.Nullable;

/**
 * Rotary positions in {@code config.json}: {@code rope_theta} and {@code rope_scaling} of
 * transformers 4, {@code rope_parameters} of transformers 5. Where both stand they must agree.
 */
final class RopeJson {
  private static final double DEFAULT_THETA = 10_000;
  private static final int MOST_POSITIONS = 1 << 24;

  private static final Set<String> COMMON = Set.of("rope_type", "type", "rope_theta");
  private static final Set<String> LINEAR = Set.of("factor");
  private static final Set<String> LLAMA3 =
      Set.of("factor", "low_freq_factor", "high_freq_factor", "original_max_position_embeddings");
  private static final Set<String> YARN =
      Set.of(
          "factor",
          "beta_fast",
          "beta_slow",
          "attention_factor",
          "original_max_position_embeddings");

  private RopeJson() {}

  static RopeConfig read(JsonObject json, int positions) {
    double theta = json.number("rope_theta", DEFAULT_THETA);
    RopeConfig classic = new RopeConfig(theta(json, theta), new RopeConfig.None());
    if (json.has("rope_scaling") && !json.object("rope_scaling").members().isEmpty()) {
      classic = parameters(json.object("rope_scaling"), theta, positions);
    }
    if (!json.has("rope_parameters") || json.object("rope_parameters").members().isEmpty()) {
      return classic;
    }
    RopeConfig current = parameters(json.object("rope_parameters"), theta, positions);
    boolean contradicts =
        (json.has("rope_theta") && classic.theta() != current.theta())
            || (json.has("rope_scaling") && !classic.equals(current));
    if (contradicts) {
      throw json.error("rope_parameters", "contradicts rope_theta or rope_scaling beside it");
    }
    return current;
  }

  private static double theta(JsonObject json, double theta) {
    if (!(theta > 1 && theta < 1e30)) {
      throw json.error("rope_theta", "must be greater than 1, got " + theta);
    }
    return theta;
  }

  private static RopeConfig parameters(JsonObject json, double outerTheta, int positions) {
    String type = json.text("rope_type", json.text("type", "default"));
    double theta = theta(json, json.number("rope_theta", outerTheta));
    RopeConfig.Scaling scaling =
        switch (type) {
          case "default" -> only(json, Set.of(), new RopeConfig.None());
          case "linear" -> only(json, LINEAR, new RopeConfig.Linear(factor(json)));
          case "llama3" -> only(json, LLAMA3, llama3(json));
          case "yarn" -> only(json, YARN, yarn(json, positions));
          default ->
              throw json.error(
                  "rope_type", "must be default, linear, llama3 or yarn, got \"" + type + "\"");
        };
    return new RopeConfig(theta, scaling);
  }

  private static RopeConfig.Scaling only(
      JsonObject json, Set<String> keys, RopeConfig.Scaling scaling) {
    for (String key : json.members().keySet()) {
      if (json.has(key) && !keys.contains(key) && !COMMON.contains(key)) {
        throw json.error(key, "is not supported for this rope_type");
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
    double natural = factor <= 1 ? 1 : 0.1 * StrictMath.log(factor) + 1;
    return new RopeConfig.Yarn(
        factor,
        positive(json, "beta_fast", json.number("beta_fast", 32)),
        positive(json, "beta_slow", json.number("beta_slow", 1)),
        positive(json, "attention_factor", json.number("attention_factor", natural)),
        json.integer("original_max_position_embeddings", 1, MOST_POSITIONS, positions));
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

  static void write(Map<String, @Nullable Object> json, RopeConfig rope) {
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
      }
    }
    boolean scaled = !(rope.scaling() instanceof RopeConfig.None);
    json.put("rope_scaling", scaled ? new TreeMap<>(parameters) : null);
    parameters.put("rope_theta", rope.theta());
    json.put("rope_theta", rope.theta());
    json.put("rope_parameters", parameters);
  }
}
