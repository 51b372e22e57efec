package dev.javelin.train.health;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import dev.javelin.device.Cpu;
import dev.javelin.device.Cuda;
import dev.javelin.device.DType;
import dev.javelin.device.Device;
import dev.javelin.device.RequiresCuda;
import dev.javelin.device.TestCuda;
import dev.javelin.kernels.BundledKernels;
import dev.javelin.nn.Declare;
import dev.javelin.nn.Grouping;
import dev.javelin.nn.ParameterBuffer;
import dev.javelin.nn.Precision;
import dev.javelin.tensor.Parameter;
import dev.javelin.tensor.Tensor;
import dev.javelin.tensor.step.LossScaling;
import dev.javelin.tensor.step.StepState;
import dev.javelin.train.monitor.HealthFile;
import dev.javelin.train.monitor.LayerReading;
import dev.javelin.train.optim.AdamW;
import dev.javelin.train.optim.AdamWConfig;
import dev.javelin.train.optim.GradientClip;
import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Random;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.ValueSource;

class LayerHealthTest {
  private static final int EVERY = 2;
  private static final int BIG = 200_003; // more than is looked at

  @TempDir Path dir;

  record Layers(Parameter big, Parameter small, Parameter dead) {
    static Layers declare(Declare d) {
      return new Layers(d.parameter(BIG, 1), d.parameter(7, 31), d.parameter(33, 2));
    }
  }

  private record Outcome(
      LayerReading reading, double[] ratio, Map<String, Double> measured, int lines) {}

  /** Steps with random gradients, none for one layer; the ratios of the last, by whole weights. */
  private static Outcome steps(
      Device device, Precision precision, int steps, float gradientScale, Path file)
      throws IOException {
    Map<String, Double> measured = new LinkedHashMap<>();
    double[] ratio = new double[3];
    try (ParameterBuffer<Layers> parameters =
            ParameterBuffer.allocate(
                device, precision, Grouping.decayMatrices(0), Layers::declare);
        AdamW rule = new AdamW(parameters, new AdamWConfig(0.9f, 0.95f, 1e-8f));
        LayerHealth health = new LayerHealth(parameters, rule, EVERY, file);
        StepState state = StepState.on(device)) {
      Random random = new Random(5);
      List<Parameter> layers = List.copyOf(parameters.named().values());
      for (Parameter p : layers) {
        float[] values = normal(random, p, 0.02f);
        parameters.put(p, 0, values, values.length);
      }
      GradientClip clip = GradientClip.byNorm(Float.POSITIVE_INFINITY, LossScaling.NONE);
      for (int step = 0; step < steps; step++) {
        state.begin(1, step, 1e-3f, 1);
        health.begin(step, 0, 1);
        for (int i = 0; i < 2; i++) {
          Parameter p = layers.get(i);
          Tensor grad = Objects.requireNonNull(p.grad());
          grad.fromHost(MemorySegment.ofArray(normal(random, p, gradientScale)));
        }
        health.gradient(state);
        clip.run(state, parameters.gradients());
        health.decided(state);
        List<float[]> before = layers.stream().map(parameters::values).toList();
        rule.step(state);
        health.updated(state);
        health.after(step + 1);
        for (int i = 0; i < ratio.length; i++) {
          ratio[i] = ratio(before.get(i), parameters.values(layers.get(i)));
        }
      }
      health.measure(measured::put);
    }
    List<LayerReading> lines = HealthFile.read(file);
    return new Outcome(lines.getLast(), ratio, measured, lines.size());
  }

  private static float[] normal(Random random, Parameter p, float scale) {
    float[] values = new float[(int) p.shape().elements()];
    for (int i = 0; i < values.length; i++) {
      values[i] = scale * (float) random.nextGaussian();
    }
    return values;
  }

  private static double ratio(float[] before, float[] after) {
    double moved = 0;
    double was = 0;
    for (int i = 0; i < before.length; i++) {
      moved += Math.pow((double) after[i] - before[i], 2);
      was += (double) before[i] * before[i];
    }
    return Math.sqrt(moved / was);
  }

  private void check(Outcome o, boolean half) {
    LayerReading r = o.reading;
    assertThat(o.lines).as("every other step").isEqualTo(3);
    assertThat(r.step()).isEqualTo(6);
    assertThat(r.layers()).containsExactly("big", "small", "dead");
    // The large one from a sample: each of two norms is off by half a percent.
    assertThat(r.updateRatio()[0]).isCloseTo(o.ratio[0], within(0.02 * o.ratio[0]));
    assertThat(r.updateRatio()[1]).isCloseTo(o.ratio[1], within(1e-4 * o.ratio[1]));
    assertThat(r.updateRatio()[2]).isZero();
    assertThat(r.still()).containsExactly(0, 0, 6);
    assertThat(r.zeroGradient()[0]).isLessThan(0.01);
    assertThat(r.zeroGradient()[2]).isEqualTo(1);
    assertThat(Arrays.stream(r.ratios()).sum()).isEqualTo(16_384 + 7 * 31 + 33 * 2);
    // Random gradients: most of |m|/√v lies below 1; what has no gradient is in the first bin.
    assertThat(r.ratios()[0]).isBetween(66.0, 80.0);
    double most = Math.max(o.ratio[0], o.ratio[1]);
    assertThat(o.measured.get("update_ratio_max")).isCloseTo(most, within(0.02 * most));
    assertThat(o.measured.get("dead_layers")).isZero();
    assertThat(o.measured.containsKey("underflow")).isEqualTo(half);
  }

  @ParameterizedTest
  @EnumSource(
      value = DType.class,
      names = {"F32", "BF16", "F16"})
  void readsWhatTheWholeWeightsSay(DType type) throws IOException {
    try (Cpu cpu = Cpu.open(2)) {
      check(steps(cpu, precision(type), 6, 1, dir.resolve("h")), type != DType.F32);
    }
  }

  @ParameterizedTest
  @EnumSource(
      value = DType.class,
      names = {"F32", "F16"})
  @RequiresCuda
  void theGpuReadsTheSame(DType type) throws IOException {
    try (Cuda cuda = TestCuda.open(new BundledKernels())) {
      check(steps(cuda, precision(type), 6, 1, dir.resolve("h")), type != DType.F32);
    }
  }

  private static Precision precision(DType type) {
    return switch (type) {
      case BF16 -> Precision.BF16;
      case F16 -> Precision.FP16;
      default -> Precision.FP32;
    };
  }

  /** Normal values of deviation s: the share below 2⁻¹⁴ in magnitude. */
  @ParameterizedTest
  @ValueSource(floats = {1e-3f, 1e-4f, 1e-5f})
  void theShareThatUnderflowsIsThatOfTheDistribution(float scale) throws IOException {
    try (Cpu cpu = Cpu.open(2)) {
      Outcome o = steps(cpu, Precision.FP16, 2, scale, dir.resolve("h"));
      double below = 0;
      int n = 100_000;
      Random random = new Random(9);
      for (int i = 0; i < n; i++) {
        below += Math.abs(scale * random.nextGaussian()) < 0x1p-14 ? 1.0 / n : 0;
      }
      assertThat(o.reading.underflow()[0]).isCloseTo(below, within(0.015));
      assertThat(o.reading.underflow()[2]).as("zeros do not underflow").isZero();
      assertThat(o.measured.get("underflow")).isPositive();
    }
  }

  @Test
  void aLayerThatStandsStillForLongIsDeadAcrossAResume() throws IOException {
    Path file = dir.resolve("h");
    try (Cpu cpu = Cpu.open(1)) {
      Outcome o = steps(cpu, Precision.FP32, LayerHealth.DEAD_AFTER, 1, file);
      assertThat(o.measured.get("dead_layers")).isEqualTo(1);
    }
    try (Cpu cpu = Cpu.open(1);
        ParameterBuffer<Layers> parameters =
            ParameterBuffer.allocate(
                cpu, Precision.FP32, Grouping.decayMatrices(0), Layers::declare);
        AdamW rule = new AdamW(parameters, new AdamWConfig(0.9f, 0.95f, 1e-8f));
        LayerHealth health = new LayerHealth(parameters, rule, EVERY, null)) {
      Map<String, double[]> saved = Map.of("moved", new double[] {30, 20, 10});
      health.restore(saved);
      assertThat(health.save().get("moved")).containsExactly(30, 20, 10);
      health.restore(Map.of("moved", new double[] {1}));
      assertThat(health.save().get("moved")).as("of another model").containsExactly(30, 20, 10);
    }
  }

  /** Whatever stands in the file: lines that cannot be read are passed over, nothing else. */
  @Test
  void damagedLinesArePassedOver() throws IOException {
    Path file = dir.resolve("h");
    try (Cpu cpu = Cpu.open(1)) {
      steps(cpu, Precision.FP32, 6, 1, file);
    }
    byte[] whole = Files.readAllBytes(file);
    Random random = new Random(11);
    for (int i = 0; i < 10_000; i++) {
      byte[] bytes = whole.clone();
      for (int k = random.nextInt(1, 4); k > 0; k--) {
        bytes[random.nextInt(bytes.length)] = (byte) random.nextInt();
      }
      Files.write(file, Arrays.copyOf(bytes, random.nextInt(bytes.length + 1)));
      assertThat(HealthFile.read(file)).hasSizeLessThanOrEqualTo(6);
    }
    Files.write(file, whole);
    Files.writeString(file, "{\"step\":", StandardOpenOption.APPEND);
    assertThat(HealthFile.read(file)).hasSize(3);
  }
}
