package dev.javelin.train.checkpoint;

import dev.javelin.tensor.io.AtomicFile;
import dev.javelin.tensor.io.FileFormatException;
import dev.javelin.tensor.io.Json;
import dev.javelin.tensor.io.JsonObject;
import dev.javelin.tensor.step.StepState;
import dev.javelin.train.data.InputException;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/**
 * {@code training_state.json}: everything beside weights and moments that the next step depends on.
 * Random numbers are a function of seed, step and sequence, and the learning rate one of the step,
 * so neither has a state of its own.
 *
 * @param step attempted steps
 * @param sequences sequences of the data read so far: where the next one begins
 * @param tokens target tokens seen
 * @param seed of weights, order and dropout
 * @param carried applied and skipped steps, loss scale, growth tracker
 * @param bestLoss smallest validation loss so far, {@code null} before the first; a loss that is
 *     not finite is none
 * @param bestStep the step that had it; 0 before the first
 * @param model what architecture and precision the weights have, in one line
 * @param identity which data the run reads in which order; null where that was not recorded
 * @param saves the number of this checkpoint among all that were written into its directory, from 1
 *     on: the newest is the one written last, whatever its step. 0 where that was not recorded
 * @param parts what parts of the training remember, by their names and keys
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
    @Nullable RunIdentity identity,
    long saves,
    Map<String, Map<String, double[]>> parts) {
  public static final String FILE = "training_state.json";

  /** The one before had no manifest: it listed the files itself. */
  private static final long FORMAT = 2;

  public TrainingState {
    if (bestLoss != null && !Double.isFinite(bestLoss)) {
      bestLoss = null;
    }
    if (bestLoss == null) {
      bestStep = 0;
    }
  }

  /** A state of a run whose data are not recorded, not yet saved. */
  public TrainingState(
      long step,
      long sequences,
      long tokens,
      long seed,
      StepState.Carried carried,
      @Nullable Double bestLoss,
      long bestStep,
      String model) {
    this(step, sequences, tokens, seed, carried, bestLoss, bestStep, model, null, 0, Map.of());
  }

  public TrainingState withIdentity(@Nullable RunIdentity newIdentity) {
    return new TrainingState(
        step,
        sequences,
        tokens,
        seed,
        carried,
        bestLoss,
        bestStep,
        model,
        newIdentity,
        saves,
        parts);
  }

  TrainingState withSaves(long number) {
    return new TrainingState(
        step, sequences, tokens, seed, carried, bestLoss, bestStep, model, identity, number, parts);
  }

  /** The same with no best loss, where later ones cannot be compared with it. */
  TrainingState withoutBest() {
    return new TrainingState(
        step, sequences, tokens, seed, carried, null, 0, model, identity, saves, parts);
  }

  /** The same with what parts of the training remember. */
  public TrainingState withParts(Map<String, Map<String, double[]>> remembered) {
    return new TrainingState(
        step,
        sequences,
        tokens,
        seed,
        carried,
        bestLoss,
        bestStep,
        model,
        identity,
        saves,
        remembered);
  }

  /**
   * Refuses to go on from this state with other data or validation, in another order, with another
   * seed, objective or packing.
   *
   * @param checkpoint whose state this is, for the message
   * @param override whether what differs is meant
   * @return what differs, a clause each
   * @throws InputException which names all that differs, unless it is meant
   */
  public List<String> requireSame(Path checkpoint, RunIdentity now, boolean override) {
    List<String> differences =
        identity != null
            ? now.differences(identity)
            : now.seed() == seed
                ? List.of()
                : List.of("the seed is %d (was %d)".formatted(now.seed(), seed));
    if (!differences.isEmpty() && !override) {
      throw new InputException(
          "--resume: %s was trained differently: %s; use what it was trained with, or --override if the change is intended"
              .formatted(checkpoint, String.join("; ", differences)));
    }
    return differences;
  }

  void write(Path directory) {
    Map<String, Object> scaler = new LinkedHashMap<>();
    scaler.put("scale", (double) carried.lossScale());
    scaler.put("growth_tracker", (long) carried.growthTracker());
    Map<String, Object> json = new LinkedHashMap<>();
    json.put("format", FORMAT);
    json.put("saves", saves);
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
    if (identity != null) {
      json.put("identity", identity.json());
    }
    if (!parts.isEmpty()) {
      json.put("parts", Parts.json(parts));
    }
    AtomicFile.write(directory.resolve(FILE), Json.write(json) + "\n");
  }

  /**
   * Reads a checkpoint's state.
   *
   * @throws FileFormatException where the file is missing, damaged, or of a later format
   */
  public static TrainingState read(Path directory) {
    return of(Json.read(directory.resolve(FILE)));
  }

  /** The files that a checkpoint has, as they were written. */
  static Manifest manifest(Path directory) {
    if (Manifest.existsIn(directory)) {
      return Manifest.read(directory);
    }
    JsonObject json = Json.read(directory.resolve(FILE));
    if (format(json) > 1) {
      throw IncompleteCheckpointException.length(directory, Manifest.FILE, 0, -1);
    }
    return Manifest.ofSizes(json.object("files"));
  }

  private static long format(JsonObject json) {
    long format = count(json, "format");
    if (format < 1 || format > FORMAT) {
      throw new FileFormatException(
          json.file(), "has format " + format, "this version reads formats 1 to " + FORMAT);
    }
    return format;
  }

  private static TrainingState of(JsonObject json) {
    long format = format(json);
    JsonObject scaler = json.object("loss_scaler");
    double scale = scaler.number("scale");
    if (!((float) scale > 0 && scale <= Float.MAX_VALUE)) {
      throw scaler.error("scale", "must be more than 0, is " + scale);
    }
    long step = count(json, "step");
    int applied = small(json, "applied_steps");
    int skipped = small(json, "skipped_steps");
    if ((long) applied + skipped > step) {
      throw json.error("applied_steps", "and skipped_steps are more than step " + step);
    }
    boolean evaluated = json.has("best_eval_loss");
    return new TrainingState(
        step,
        count(json, "sequences"),
        count(json, "tokens"),
        whole(json, "seed"),
        new StepState.Carried((float) scale, small(scaler, "growth_tracker"), applied, skipped),
        evaluated ? json.number("best_eval_loss") : null,
        evaluated ? count(json, "best_step") : 0,
        json.text("model"),
        json.has("identity") ? RunIdentity.of(json.object("identity")) : null,
        format == 1 ? 0 : count(json, "saves"),
        json.has("parts") ? Parts.of(json.object("parts")) : Map.of());
  }

  private static int small(JsonObject json, String key) {
    return json.integer(key, 0, Integer.MAX_VALUE);
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
