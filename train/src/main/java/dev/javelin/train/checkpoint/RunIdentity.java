package dev.javelin.train.checkpoint;

import dev.javelin.tensor.io.JsonObject;
import dev.javelin.train.data.DataIdentity;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/**
 * What decides which tokens stand at which place of a run. Batch size, accumulation and ranks are
 * not part of it: a run goes on with the next unread sequence whatever they are.
 *
 * @param order the name of the order in which sequences are read
 * @param seed of weights, order and dropout
 * @param sequenceLength tokens of a sequence
 */
public record RunIdentity(DataIdentity data, String order, long seed, int sequenceLength) {

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
    return all;
  }

  Map<String, Object> json() {
    Map<String, Object> json = new LinkedHashMap<>();
    json.put("data", data.json());
    json.put("order", order);
    json.put("seed", seed);
    json.put("sequence_length", sequenceLength);
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
        json.integer("sequence_length", 1, Integer.MAX_VALUE));
  }
}
