package dev.javelin.train;

import dev.javelin.device.Cpu;
import dev.javelin.device.Cuda;
import dev.javelin.device.CudaException;
import dev.javelin.device.Device;
import dev.javelin.nn.HuggingFace;
import dev.javelin.nn.Precision;
import dev.javelin.train.data.InputException;
import dev.javelin.train.estimate.Budget;
import dev.javelin.train.estimate.MemoryTable;
import dev.javelin.train.estimate.NotEnoughMemoryException;
import dev.javelin.train.estimate.Remedy;
import dev.javelin.train.optim.Optimizers;
import dev.javelin.train.settings.ByteSize;
import dev.javelin.train.settings.Quantize;
import dev.javelin.train.settings.RunSettings;
import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.function.Function;
import org.jspecify.annotations.Nullable;

/**
 * A run's memory against what it may take.
 *
 * @param device where the run computes
 * @param memory what a run with some settings takes
 */
public record MemoryCheck(
    RunSettings settings,
    Device device,
    Budget budget,
    MemoryTable table,
    Function<RunSettings, MemoryTable> memory) {
  private static final int LORA_RANK = 8;

  /**
   * Estimates the run, and bounds what the device gives it where the user has given a bound.
   *
   * @throws NotEnoughMemoryException where it will not fit and the settings want that checked
   */
  static MemoryCheck of(
      RunSettings settings, Device device, Function<RunSettings, MemoryTable> memory) {
    MemoryCheck check = estimate(settings, device, memory);
    MemoryTable table = check.table;
    Budget budget = check.budget;
    if (settings.device().memoryCheck() && check.needed(table) > budget.bytes()) {
      throw NotEnoughMemoryException.before(
          table, device.toString(), check.onHost(), budget, check.remedies());
    }
    if (settings.device().memory() != null && device instanceof Cpu cpu) {
      cpu.limit(Math.max(0, budget.bytes() - table.jvm().total()));
    }
    return check;
  }

  /** Estimates the run, and leaves the device as it is. */
  static MemoryCheck estimate(
      RunSettings settings, Device device, Function<RunSettings, MemoryTable> memory) {
    ByteSize given = settings.device().memory();
    Budget budget = Budget.of(given == null ? null : given.bytes(), device);
    return new MemoryCheck(settings, device, budget, memory.apply(settings), memory);
  }

  boolean onHost() {
    return device instanceof Cpu;
  }

  /** What counts against the budget: the Java part is the same, whatever the settings. */
  long needed(MemoryTable of) {
    return of.device() + (onHost() ? table.jvm().total() : 0);
  }

  /**
   * Runs, and says what would help where there is not enough memory.
   *
   * @throws NotEnoughMemoryException where the device, has no more
   */
  Trainer.Outcome explaining(Trainer trainer) throws IOException {
    try {
      return trainer.run();
    } catch (OutOfMemoryError e) {
      if (isOfHeap(e)) {
        throw e;
      }
      throw explained(e, trainer.step());
    } catch (CudaException e) {
      throw e.isOutOfMemory() ? explained(e, trainer.step()) : e;
    }
  }

  private static boolean isOfHeap(OutOfMemoryError e) {
    return String.valueOf(e.getMessage()).contains("heap");
  }

  private RuntimeException explained(Throwable refusal, long step) {
    long used =
        switch (device) {
          case Cpu cpu -> cpu.liveBytes();
          case Cuda cuda -> cuda.memoryInfo().total() - cuda.memoryInfo().free();
        };
    return NotEnoughMemoryException.during(
        refusal, step, used, table, device.toString(), onHost(), budget, remedies());
  }

  /** What would take less, the most first. */
  List<Remedy> remedies() {
    long now = needed(table);
    List<Remedy> found = new ArrayList<>();
    changes()
        .forEach(
            (flags, changed) -> {
              try {
                long then = needed(memory.apply(changed));
                if (then < now) {
                  found.add(new Remedy(flags, then));
                }
              } catch (InputException | IllegalArgumentException e) {
                // does not go with the other settings
              }
            });
    found.sort(Comparator.comparingLong(Remedy::bytes));
    return found;
  }

  /** Settings that may take less, by their flags. */
  private Map<String, RunSettings> changes() {
    Map<String, RunSettings> all = new LinkedHashMap<>();
    int batch = settings.batch().batchSize();
    int parts = settings.batch().gradientAccumulationSteps();
    if (batch % 2 == 0) {
      add(
          all,
          Map.of("batch_size", batch / 2, "gradient_accumulation_steps", 2 * parts),
          "--batch-size %d --gradient-accumulation-steps %d".formatted(batch / 2, 2 * parts));
      add(
          all,
          Map.of("batch_size", 1, "gradient_accumulation_steps", batch * parts),
          "--batch-size 1 --gradient-accumulation-steps " + batch * parts);
    } else if (batch > 1) {
      add(
          all,
          Map.of("batch_size", 1, "gradient_accumulation_steps", batch * parts),
          "--batch-size 1 --gradient-accumulation-steps " + batch * parts);
    }
    int seqLen = settings.batch().seqLen();
    if (seqLen > 1) {
      add(all, Map.of("seq_len", seqLen / 2), "--seq-len " + seqLen / 2);
    }
    for (String part : List.of("blocks", "attention", "mlp")) {
      add(
          all,
          Map.of("recompute", part),
          part.equals("blocks") ? "--recompute" : "--recompute " + part);
    }
    if (settings.device().precision().equals(Precision.FP32)) {
      add(all, Map.of("precision", "bf16"), "--precision bf16");
    }
    for (String rule : Optimizers.names()) {
      add(all, Map.of("optimizer", rule), "--optimizer " + rule);
    }
    Path directory = ModelName.of(settings.model().model()).directory();
    if (!settings.adapter().isOn() && directory != null && HuggingFace.hasWeights(directory)) {
      add(all, Map.of("lora", LORA_RANK), "--lora " + LORA_RANK);
    } else if (settings.adapter().isOn() && settings.model().quantize() == Quantize.NONE) {
      add(all, Map.of("quantize", "nf4"), "--quantize nf4");
    }
    return all;
  }

  private void add(Map<String, RunSettings> all, Map<String, ?> values, String flags) {
    try {
      RunSettings changed = settings.with(values);
      if (!changed.equals(settings)) {
        all.put(flags, changed);
      }
    } catch (InputException e) {
      // does not go with the other settings
    }
  }

  /** The largest n from 1 on with which a run fits; 0 where none does. */
  int largest(int most, Function<Integer, RunSettings> with) {
    int fits = 0;
    int tooMuch = 1;
    while (tooMuch <= most && fits(with.apply(tooMuch))) {
      fits = tooMuch;
      tooMuch = (int) Math.min(2L * tooMuch, most + 1L);
      if (fits == most) {
        return most;
      }
    }
    while (tooMuch - fits > 1) {
      int middle = fits + (tooMuch - fits) / 2;
      if (fits(with.apply(middle))) {
        fits = middle;
      } else {
        tooMuch = middle;
      }
    }
    return fits;
  }

  boolean fits(@Nullable RunSettings changed) {
    return changed != null && needed(memory.apply(changed)) <= budget.bytes();
  }
}
