package dev.javelin.train.checkpoint;

import dev.javelin.tensor.io.AtomicFile;
import dev.javelin.tensor.io.FileFormatException;
import dev.javelin.tensor.io.Json;
import dev.javelin.tensor.io.JsonObject;
import dev.javelin.tensor.step.StepState;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/**
 * {@code training_state.json}: everything beside weights and moments that the next step depends on.
 * Random numbers are a function of seed, step and sequence, and the learning rate one of the step,
 * so neither has a state of its own.
 *
 * @param step attempted steps
 * @param sequences windows of the data read so far: where the next one begins
 * @param tokens target tokens seen
 * @param seed of weights, order and dropout
 * @param carried applied and skipped steps, loss scale, growth tracker
 * @param bestLoss smallest validation loss so far, {@code null} before the first
 * @param bestStep the step that had it; 0 before the first
 * @param model what architecture and precision the weights have, in one line
 * @param files sizes in bytes of the other files of the checkpoint, by name
 */
public record TrainingState(
    long step,
    long sequences,
    long tokens,
    long seed,
    StepState.Carried carried,
    @Nullable Double bestLoss,
    long bestStep,
    String model,
    Map<String, Long> files) {
  public static final String FILE = "training_state.json";

  public TrainingState {
    files = Map.copyOf(files);
  }

  TrainingState withFiles(Map<String, Long> sizes) {
    return new TrainingState(
        step, sequences, tokens, seed, carried, bestLoss, bestStep, model, sizes);
  }

  void write(Path directory) {
    Map<String, Object> scaler = new LinkedHashMap<>();
    scaler.put("scale", (double) carried.lossScale());
    scaler.put("growth_tracker", (long) carried.growthTracker());
    Map<String, Object> json = new LinkedHashMap<>();
    json.put("format", 1L);
    json.put("step", step);
    json.put("applied_steps", (long) carried.appliedSteps());
    json.put("skipped_steps", (long) carried.skippedSteps());
    json.put("sequences", sequences);
    json.put("tokens", tokens);
    json.put("seed", seed);
    json.put("loss_scaler", scaler);
    if (bestLoss != null) {
      json.put("best_eval_loss", bestLoss);
      json.put("best_step", bestStep);
    }
    json.put("model", model);
    json.put("files", new java.util.TreeMap<>(files));
    AtomicFile.write(directory.resolve(FILE), Json.write(json) + "\n");
  }

  /**
   * Reads a checkpoint's state.
   *
   * @throws FileFormatException where the file is missing, damaged, or of a later format
   */
  public static TrainingState read(Path directory) {
    Path file = directory.resolve(FILE);
    JsonObject json = Json.read(file);
    if (count(json, "format") != 1) {
      throw new FileFormatException(
          file, "has format " + count(json, "format"), "this version reads format 1");
    }
    JsonObject scaler = json.object("loss_scaler");
    JsonObject sizes = json.object("files");
    Map<String, Long> files = new LinkedHashMap<>();
    sizes.members().keySet().forEach(name -> files.put(name, count(sizes, name)));
    boolean evaluated = json.has("best_eval_loss");
    return new TrainingState(
        count(json, "step"),
        count(json, "sequences"),
        count(json, "tokens"),
        whole(json, "seed"),
        new StepState.Carried(
            (float) scaler.number("scale"),
            (int) count(scaler, "growth_tracker"),
            (int) count(json, "applied_steps"),
            (int) count(json, "skipped_steps")),
        evaluated ? json.number("best_eval_loss") : null,
        evaluated ? count(json, "best_step") : 0,
        json.text("model"),
        files);
  }

  private static long count(JsonObject json, String key) {
    long value = whole(json, key);
    if (value < 0) {
      throw json.error(key, "must be 0 or more, is " + value);
    }
    return value;
  }

  private static long whole(JsonObject json, String key) {
    if (json.members().get(key) instanceof Long value) {
      return value;
    }
    throw json.error(key, "must be a whole number");
  }
}
