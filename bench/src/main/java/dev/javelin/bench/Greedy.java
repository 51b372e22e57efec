package dev.javelin.bench;

import dev.javelin.device.Cpu;
import dev.javelin.device.DType;
import dev.javelin.nn.Grouping;
import dev.javelin.nn.KvCache;
import dev.javelin.nn.ParameterBuffer;
import dev.javelin.nn.Precision;
import dev.javelin.nn.Transformer;
import dev.javelin.nn.TransformerConfig;
import dev.javelin.tensor.Tensor;
import dev.javelin.tensor.step.Workspace;
import java.lang.foreign.ValueLayout;
import java.util.List;
import java.util.Random;

/**
 * Generating with a cache, written {@code MODEL-PROMPTxNEW}: reads a prompt of random tokens, then
 * makes so many new ones, each the likeliest, with random weights.
 */
final class Greedy implements AutoCloseable {
  private final ParameterBuffer<Transformer> buffer;
  private final Workspace workspace;
  private final KvCache cache;
  private final int[] prompt;
  private final int count;

  Greedy(String name, Operands operands) {
    ModelCase c = ModelCase.parse(name); // sequences and tokens stand for prompt and new ones
    Cpu cpu = operands.cpu();
    int positions = c.batch() + c.length();
    TransformerConfig config = new ModelCase(c.model(), 1, positions).config();
    boolean half = operands.type() == DType.BF16;
    Precision precision = half ? Precision.BF16 : Precision.FP32;
    buffer = Transformer.allocate(cpu, config, precision, Grouping.frozen());
    Generate.fill(cpu, config, buffer);
    workspace = Workspace.on(cpu);
    cache = KvCache.open(cpu, config, buffer.model().tokens().value().dtype());
    prompt = new Random(5).ints(c.batch(), 0, config.vocab()).toArray();
    count = c.length();
  }

  void run() {
    cache.truncate(0);
    int next = likeliest(prompt);
    for (int i = 1; i < count; i++) {
      next = likeliest(next);
    }
  }

  private int likeliest(int... ids) {
    Tensor logits = Generate.read(workspace, buffer.model(), List.of(cache), ids, ids.length);
    int best = 0;
    for (int i = 1; i < logits.elements(); i++) {
      best = logit(logits, i) > logit(logits, best) ? i : best;
    }
    return best;
  }

  private static float logit(Tensor logits, int i) {
    return logits.dtype() == DType.F32
        ? logits.segment().getAtIndex(ValueLayout.JAVA_FLOAT, i)
        : Float.intBitsToFloat(logits.segment().getAtIndex(ValueLayout.JAVA_SHORT, i) << 16);
  }

  @Override
  public void close() {
    cache.close();
    workspace.close();
    buffer.close();
  }
}
