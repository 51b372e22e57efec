package dev.javelin.train.checkpoint;

import dev.javelin.tensor.io.JsonObject;
import dev.javelin.train.data.DataIdentity;
import java.util.ArrayList;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.SequencedMap;
import java.util.TreeMap;
import org.jspecify.annotations.Nullable;

/**
 * What decides which tokens stand at which place of a run. Batch size, accumulation and ranks are
 * not part of it: a run goes on with the next unread sequence whatever they are.
 *
 * @param order the name of the order in which sequences are read
 * @param seed of weights, order and dropout
 * @param sequenceLength tokens of a sequence
 * @param validation the data that are held out; null for none, or where that was not recorded
 * @param settings what else decides what a step computes, by key: the objective, whether examples
 *     share sequences. Empty where that was not recorded, and then neither is {@code validation}
 */
public record RunIdentity(
    DataIdentity data,
    String order,
    long seed,
    int sequenceLength,
    @Nullable DataIdentity validation,
    SequencedMap<String, String> settings) {
  /** What earlier versions recorded. */
  RunIdentity(DataIdentity data, String order, long seed, int sequenceLength) {
    this(data, order, seed, sequenceLength, null, Collections.emptySortedMap());
  }

  /**
   * What else decides what a step computes.
   *
   * @param packing whether examples share sequences; null for running text, which has none
   */
  public static SequencedMap<String, String> settings(String objective, @Nullable Boolean packing) {
    SequencedMap<String, String> settings = new LinkedHashMap<>();
    settings.put("objective", objective);
    if (packing != null) {
      settings.put("packing", packing.toString());
    }
    return settings;
  }

  /** The same with further settings. */
  public RunIdentity with(Map<String, String> more) {
    SequencedMap<String, String> all = new LinkedHashMap<>(settings);
    new TreeMap<>(more).forEach(all::put);
    return new RunIdentity(data, order, seed, sequenceLength, validation, all);
  }

  /** What differs from the run that saved a checkpoint, a clause each; empty where nothing does. */
  public List<String> differences(RunIdentity saved) {
    List<String> all = new ArrayList<>(data.differences(saved.data));
    if (!order.equals(saved.order)) {
      all.add("the order is %s (was %s)".formatted(order, saved.order));
    }
    if (seed != saved.seed) {
      all.add("the seed is %d (was %d)".formatted(seed, saved.seed));
    }
    if (sequenceLength != saved.sequenceLength) {
      all.add("the sequence length is %d (was %d)".formatted(sequenceLength, saved.sequenceLength));
    }
    if (hasOtherValidation(saved)) {
      all.add("--val-data is %s (was %s)".formatted(name(validation), name(saved.validation)));
    }
    saved.settings.forEach(
        (key, was) -> {
          String is = settings.get(key);
          if (is != null && !is.equals(was)) {
            all.add("--%s is %s (was %s)".formatted(key.replace('_', '-'), is, was));
          }
        });
    return all;
  }

  /** Whether losses of validation cannot be compared with those of the run that saved this. */
  public boolean hasOtherValidation(RunIdentity saved) {
    if (saved.settings.isEmpty()) {
      return false;
    }
    return validation == null || saved.validation == null
        ? validation != saved.validation
        : validation.tokens() != saved.validation.tokens()
            || !validation.fingerprint().equals(saved.validation.fingerprint());
  }

  private static String name(@Nullable DataIdentity held) {
    return held == null
        ? "none"
        : "%s with %d tokens, %s".formatted(held.name(), held.tokens(), held.fingerprint());
  }

  Map<String, Object> json() {
    Map<String, Object> json = new LinkedHashMap<>();
    json.put("data", data.json());
    json.put("order", order);
    json.put("seed", seed);
    json.put("sequence_length", sequenceLength);
    if (!settings.isEmpty()) {
      if (validation != null) {
        json.put("validation", validation.json());
      }
      json.put("settings", settings);
    }
    return json;
  }

  static RunIdentity of(JsonObject json) {
    if (!(json.members().get("seed") instanceof Long seed)) {
      throw json.error("seed", "must be a whole number");
    }
    return new RunIdentity(
        DataIdentity.of(json.object("data")),
        json.text("order"),
        seed,
        json.integer("sequence_length", 1, Integer.MAX_VALUE),
        json.has("validation") ? DataIdentity.of(json.object("validation")) : null,
        json.has("settings") ? settings(json.object("settings")) : Collections.emptySortedMap());
  }

  private static SequencedMap<String, String> settings(JsonObject json) {
    SequencedMap<String, String> settings = new LinkedHashMap<>();
    for (String key : json.members().keySet()) {
      settings.put(key, json.text(key));
    }
    return settings;
  }
}
