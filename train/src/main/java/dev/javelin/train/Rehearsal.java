package dev.javelin.train;

import dev.javelin.device.Cpu;
import dev.javelin.nn.ParameterBuffer;
import dev.javelin.tensor.Tensor;
import dev.javelin.tensor.step.Workspace;
import dev.javelin.train.data.BatchSource;
import dev.javelin.train.estimate.JvmMemory;
import dev.javelin.train.estimate.MemoryTable;
import dev.javelin.train.optim.Optimizer;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.function.Function;

/**
 * Finds out what a training takes by putting it together, and doing a step of it, on a device that
 * only counts: {@link Cpu#rehearsal}. Whatever asks for memory in the run asks for it here, by the
 * same code and in the same order.
 */
final class Rehearsal {
  private static final List<String> OWN =
      List.of(Workspace.ACTIVATIONS, Workspace.LOGITS, Workspace.SCRATCH);

  private Rehearsal() {}

  /**
   * A training and the weights that it reads.
   *
   * @param buffers of all models, trained or not
   */
  record Parts(Training training, List<ParameterBuffer<?>> buffers) {}

  /**
   * @param parts puts the training together on a device
   */
  static MemoryTable of(int threads, Function<Cpu, Parts> parts) {
    try (Cpu cpu = Cpu.rehearsal(threads)) {
      Parts made = parts.apply(cpu);
      Training training = made.training;
      Function<ParameterBuffer<?>, Optimizer> rule = training.optimizer;
      long[] moments = {0};
      training.optimizer(
          p -> {
            long before = cpu.liveBytes();
            Optimizer optimizer = rule.apply(p);
            moments[0] = cpu.liveBytes() - before;
            return optimizer;
          });
      try (Trainer trainer = training.trainer()) {
        long standing = cpu.liveBytes();
        Map<String, Long> peak = new HashMap<>(trainer.training.rehearse());
        if (trainer.evaluator != null) {
          trainer.evaluator.rehearse();
        }
        long extent = trainer.training.workspace().extentBytes();
        long alive = peak.values().stream().mapToLong(b -> b).sum();
        long threadsOwn = cpu.liveBytes() - standing - extent;
        long weights = made.buffers.stream().mapToLong(ParameterBuffer::weightBytes).sum();
        long gradients = bytes(training.parameters.gradients());
        long masters =
            training.parameters.flats().stream()
                .map(ParameterBuffer.Flat::master)
                .filter(Objects::nonNull)
                .mapToLong(Rehearsal::bytes)
                .sum();
        long batch = batch(training);
        return new MemoryTable(
            weights,
            gradients,
            masters,
            moments[0],
            peak.getOrDefault(Workspace.ACTIVATIONS, 0L),
            alive - OWN.stream().mapToLong(o -> peak.getOrDefault(o, 0L)).sum(),
            peak.getOrDefault(Workspace.LOGITS, 0L),
            peak.getOrDefault(Workspace.SCRATCH, 0L) + threadsOwn,
            extent - alive,
            batch,
            standing - weights - gradients - masters - moments[0] - batch,
            JvmMemory.ofRun());
      } finally {
        made.buffers.forEach(ParameterBuffer::close); // else -Djavelin.debug reports them
      }
    }
  }

  private static long bytes(Tensor t) {
    return t.dtype().bytes(t.elements());
  }

  private static long batch(Training t) {
    long bytes = batch(t.source, t.rows);
    return t.validation == null ? bytes : bytes + batch(t.validation, t.rows);
  }

  private static long batch(BatchSource source, int rows) {
    return source.layouts().stream().mapToLong(layout -> layout.bytes(rows)).sum();
  }
}
