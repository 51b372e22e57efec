package dev.javelin.nn;

import dev.javelin.tensor.io.FileFormatException;
import dev.javelin.tensor.io.JsonObject;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.function.Consumer;
import java.util.function.IntPredicate;
import java.util.stream.Collectors;
import java.util.stream.IntStream;
import org.jspecify.annotations.Nullable;

/**
 * {@code config.json} as a {@link Family} asks for it. What was asked for is known; of the rest a
 * key that may change what the model computes is refused by name, and others are kept.
 *
 * <p>Every error is a {@link FileFormatException} that names file and key.
 */
public final class ConfigReader {
  private static final int MANY = 1 << 24;
  private static final String FULL = "full_attention";
  private static final String SLIDING = "sliding_attention";

  private final JsonObject json;
  private final Consumer<String> notes;
  private final Set<String> asked = new HashSet<>();
  private final Map<String, String> aliases = new LinkedHashMap<>();

  ConfigReader(JsonObject json, Consumer<String> notes) {
    this.json = json;
    this.notes = notes;
  }

  /** What this family's files call {@code key}. */
  public ConfigReader alias(String key, String inFile) {
    aliases.put(key, inFile);
    return this;
  }

  private String known(String key) {
    String name = aliases.getOrDefault(key, key);
    asked.add(name);
    return name;
  }

  /** Whether the key is there with a value other than null. */
  public boolean has(String key) {
    return json.has(known(key));
  }

  /** Whether the key is there, perhaps as null. */
  public boolean mentions(String key) {
    return json.members().containsKey(known(key));
  }

  /** Of no effect on this family, whatever their values. */
  public void ignore(String... keys) {
    for (String key : keys) {
      known(key);
    }
  }

  /** An integer from 1 to 2²⁴. */
  public int size(String key) {
    return json.integer(known(key), 1, MANY);
  }

  public int size(String key, int absent) {
    return json.integer(known(key), 1, MANY, absent);
  }

  public int integer(String key, int min, int max) {
    return json.integer(known(key), min, max);
  }

  public int integer(String key, int min, int max, int absent) {
    return json.integer(known(key), min, max, absent);
  }

  public double number(String key, double absent) {
    return json.number(known(key), absent);
  }

  public boolean flag(String key, boolean absent) {
    return json.flag(known(key), absent);
  }

  public String text(String key, String absent) {
    return json.text(known(key), absent);
  }

  public List<@Nullable Object> array(String key) {
    return json.array(known(key));
  }

  /** A small positive number that a norm adds. */
  public double epsilon(String key, double absent) {
    double eps = number(key, absent);
    if (!(eps > 1e-30 && eps < 1)) {
      throw error(key, "must be between 0 and 1, got " + eps);
    }
    return eps;
  }

  /** {@code hidden / heads}, where the key of the former says that they do not divide. */
  public int headDim(String key, int hidden, int heads) {
    if (hidden % heads != 0) {
      throw error(key, hidden + " cannot be split into " + heads + " heads");
    }
    return hidden / heads;
  }

  /** Refuses another value than the one that is supported, and is meant where the key is absent. */
  public void onlyIf(String key, boolean supported) {
    if (flag(key, supported) != supported) {
      throw error(key, "is supported only as " + supported);
    }
  }

  /** The same for a number. */
  public void onlyOne(String key) {
    if (number(key, 1) != 1) {
      throw error(key, "is supported only as 1, got " + number(key, 1));
    }
  }

  /** The same for a word. */
  public void oneOf(String key, String absent, List<String> supported) {
    String value = text(key, absent);
    if (!supported.contains(value)) {
      throw error(key, "must be " + String.join(" or ", supported) + ", got \"" + value + "\"");
    }
  }

  /** Refuses a rate of dropping other than 0. */
  public void noDropout(String key) {
    if (number(key, 0) != 0) {
      throw error(key, "is supported only as 0, got " + number(key, 0));
    }
  }

  /**
   * The layers, from 0, that {@code layer_types} says to be {@code full_attention}; all others have
   * the window.
   *
   * @param window 0 for none, and then all layers must be
   * @param absent which are where the key is absent
   */
  public Set<Integer> wideLayers(int layers, int window, IntPredicate absent) {
    List<String> kinds = window == 0 ? List.of(FULL) : List.of(FULL, SLIDING);
    if (!has("layer_types")) {
      return layers(layers, i -> window == 0 || absent.test(i));
    }
    List<@Nullable Object> types = array("layer_types");
    if (types.size() != layers || !types.stream().allMatch(t -> kinds.contains(t))) {
      throw error(
          "layer_types",
          "must be %d times \"%s\", got %s"
              .formatted(
                  layers,
                  String.join("\" or \"", kinds),
                  JsonObject.brief(new ArrayList<>(types))));
    }
    return layers(layers, i -> FULL.equals(types.get(i)));
  }

  /** Those of so many layers that pass. */
  public static Set<Integer> layers(int layers, IntPredicate which) {
    return IntStream.range(0, layers).filter(which).boxed().collect(Collectors.toUnmodifiableSet());
  }

  /** Rotary positions, for a model of {@code positions}. */
  public RopeConfig rope(int positions) {
    return rope(positions, 10_000);
  }

  /**
   * Rotary positions, for a model of {@code positions}.
   *
   * @param theta the base where the file does not say
   */
  public RopeConfig rope(int positions, double theta) {
    ignore("rope_scaling", "rope_parameters");
    return RopeJson.read(json, known("rope_theta"), theta, positions, notes);
  }

  /**
   * The same, of layers without and with a window, each under its name in {@code rope_parameters}.
   *
   * @param local of the latter, with the base {@code rope_local_base_freq}
   */
  public List<RopeConfig> ropes(int positions, double theta, double local) {
    ignore("rope_scaling", "rope_parameters");
    String key = known("rope_theta");
    String localKey = known("rope_local_base_freq");
    return RopeJson.readPair(json, key, theta, localKey, local, positions, notes);
  }

  /** The share of a head's features that turn, wherever the file says it. */
  public double rotaryShare(double absent) {
    String key = known("partial_rotary_factor");
    double share = json.number(key, absent);
    if (json.has("rope_parameters")) { // where both say it, transformers takes the inner one
      share = json.object("rope_parameters").number("partial_rotary_factor", share);
    }
    if (!(share > 0 && share <= 1)) {
      throw error("partial_rotary_factor", "must be in (0, 1], got " + share);
    }
    return share;
  }

  /** The longest sequence of a model of {@code positions} under that scaling. */
  public int longest(RopeConfig rope, int positions) {
    return RopeJson.longest(json, rope, positions);
  }

  /** Says that something in the file was passed over. */
  public void note(String key, String what) {
    notes.accept(json.file() + ": " + aliases.getOrDefault(key, key) + " " + what);
  }

  public FileFormatException error(String key, String what) {
    return json.error(known(key), what);
  }

  FileFormatException error(IllegalArgumentException e) {
    return new FileFormatException(
        json.file(), String.valueOf(e.getMessage()), "correct the sizes", e);
  }

  /** The ids of a key that holds one, or several, or none. */
  private void requireIds(String key) {
    Object value = json.members().get(key);
    List<?> ids = value instanceof List<?> list ? list : value == null ? List.of() : List.of(value);
    for (Object id : ids) {
      if (!(id instanceof Long n && n >= -1 && n <= Integer.MAX_VALUE)) {
        throw json.error(
            key, "must be a token id or a list of them, got " + JsonObject.brief(value));
      }
    }
  }

  /**
   * Refuses what was not asked for and may change what the model computes.
   *
   * @return what is carried into each file written from this one
   */
  Map<String, Object> rest() {
    requireIds("eos_token_id");
    Map<String, Object> rest = new LinkedHashMap<>();
    json.members()
        .forEach(
            (key, value) -> {
              if (asked.contains(key)) {
                return;
              }
              switch (ConfigKeys.judge(key, value)) {
                case MAY_MATTER ->
                    throw new FileFormatException(
                        json.file(),
                        "the key "
                            + key
                            + " = "
                            + JsonObject.brief(value)
                            + " is not supported for "
                            + json.text("model_type", "this model_type"),
                        "remove it if it does not change what the model computes");
                case NOTED -> notes.accept(json.file() + ": " + key + " is ignored");
                case INERT -> {}
              }
              if (value != null && !ConfigKeys.isWrittenAnew(key, value)) {
                rest.put(key, value);
              }
            });
    return rest;
  }
}
