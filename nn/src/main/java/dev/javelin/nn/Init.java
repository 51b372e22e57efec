package dev.javelin.nn;

import dev.javelin.device.Cpu;
import dev.javelin.device.Cuda;
import dev.javelin.kernels.cpu.Philox;
import dev.javelin.tensor.Parameter;
import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import java.util.function.Predicate;
import java.util.stream.IntStream;
import java.util.zip.CRC32C;

/**
 * Initial weights as GPT-2 draws them: matrices and embeddings from N(0, 0.02²), projections onto
 * the residual stream from N(0, (0.02/sqrt(2·layers))²), biases 0, norms 1.
 *
 * <p>The numbers are a function of seed, parameter name and element alone: they depend neither on
 * the order of parameters nor on threads, and fp32 masters are the same under every precision.
 */
public final class Init {
  private static final double STD = 0.02;
  private static final String ATTENTION_OUT = ".attn.out.weight";
  private static final int CHUNK = 4096; // elements drawn at a time
  private static final int CHUNKS_AT_ONCE = 256; // handed to a GPU together

  private Init() {}

  /**
   * Fills all parameters of a model, of a user's own as well: what projects onto the residual
   * stream is told by the names {@code attn.out} and {@code mlp.down}, which {@link Block} gives,
   * and layers are counted by the former.
   */
  public static void normal(ParameterBuffer<?> buffer, long seed) {
    normal(buffer, seed, p -> true);
  }

  /** The same of some parameters only. */
  static void normal(ParameterBuffer<?> buffer, long seed, Predicate<Parameter> which) {
    long layers = buffer.named().keySet().stream().filter(n -> n.endsWith(ATTENTION_OUT)).count();
    double residual = STD / Math.sqrt(2.0 * Math.max(1, layers));
    float one =
        buffer.model() instanceof Transformer t ? (float) (1 - t.config().norm().offset()) : 1;
    for (Parameter p : buffer.named().values()) {
      if (!which.test(p)) {
        continue;
      }
      if (p.value().rank() >= 2) {
        normal(buffer, p, seed, writesResidual(p.name()) ? residual : STD);
      } else {
        constant(buffer, p, p.name().endsWith("bias") ? 0f : one);
      }
    }
  }

  private static boolean writesResidual(String name) {
    return name.endsWith(ATTENTION_OUT) || name.endsWith(".mlp.down.weight");
  }

  private static void constant(ParameterBuffer<?> buffer, Parameter p, float value) {
    float[] values = new float[(int) p.value().elements()];
    Arrays.fill(values, value);
    buffer.put(p, 0, values, values.length);
  }

  private static void normal(ParameterBuffer<?> buffer, Parameter p, long seed, double std) {
    long elements = p.value().elements();
    CRC32C crc = new CRC32C();
    crc.update(p.name().getBytes(StandardCharsets.UTF_8));
    int stream = (int) crc.getValue();
    int chunks = Math.toIntExact((elements + CHUNK - 1) / CHUNK);
    switch (p.value().device()) {
      case Cpu cpu ->
          cpu.parallel(
              chunks,
              1,
              (from, to) -> {
                float[] values = new float[CHUNK];
                for (int chunk = from; chunk < to; chunk++) {
                  gaussians(values, seed, stream, chunk, std);
                  long first = (long) chunk * CHUNK;
                  buffer.put(p, first, values, (int) Math.min(CHUNK, elements - first));
                }
              });
      case Cuda _ -> {
        // Drawn on the host, many chunks at a time; one thread at a time hands them to the GPU.
        float[] values = new float[Math.min(chunks, CHUNKS_AT_ONCE) * CHUNK];
        for (int begin = 0; begin < chunks; begin += CHUNKS_AT_ONCE) {
          int base = begin;
          IntStream.range(base, Math.min(chunks, base + CHUNKS_AT_ONCE))
              .parallel()
              .forEach(
                  chunk -> {
                    float[] drawn = new float[CHUNK];
                    gaussians(drawn, seed, stream, chunk, std);
                    System.arraycopy(drawn, 0, values, (chunk - base) * CHUNK, CHUNK);
                  });
          long first = (long) base * CHUNK;
          buffer.put(p, first, values, (int) Math.min(values.length, elements - first));
        }
      }
    }
  }

  /**
   * Marsaglia's polar method over Philox words; pair {@code i} of a chunk has counters of its own,
   * so a rejected draw moves no other.
   */
  private static void gaussians(float[] out, long seed, int stream, int chunk, double std) {
    int[] words = new int[Philox.WORDS];
    for (int i = 0; i < out.length; i += 2) {
      double u = 0;
      double v = 0;
      double s = 0;
      for (int attempt = 0; !(s > 0 && s < 1); attempt++) {
        Philox.block(words, i, attempt, chunk, stream, seed);
        u = words[0] * 0x1p-31;
        v = words[1] * 0x1p-31;
        s = u * u + v * v;
      }
      double radius = std * Math.sqrt(-2 * StrictMath.log(s) / s);
      out[i] = (float) (u * radius);
      out[i + 1] = (float) (v * radius);
    }
  }
}
