package dev.javelin.autograd;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import dev.javelin.autograd.AttentionTest.Oracle;
import dev.javelin.device.Cpu;
import dev.javelin.device.DType;
import dev.javelin.device.Device;
import dev.javelin.device.DeviceMemory;
import dev.javelin.device.HostMemory;
import dev.javelin.device.Memory;
import dev.javelin.tensor.Shape;
import dev.javelin.tensor.Tensor;
import dev.javelin.tensor.op.AttentionMask;
import dev.javelin.tensor.op.PagedAttention;
import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Random;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** Against the definition of attention, one sequence at a time, in {@code double}. */
class PagedAttentionTest {
  private static final int PAGE = PagedAttention.PAGE;
  private static final long BEFORE = 5; // elements of a page that belong to others

  @ParameterizedTest
  @CsvSource({
    "F32, 1, 1, 1, 0, 0, false",
    "F32, 4, 2, 16, 0, 0, false",
    "F32, 3, 1, 7, 0, 0, true",
    "F32, 6, 3, 33, 70, 0, false",
    "F32, 8, 2, 64, 5, 1.5, true",
    "BF16, 4, 4, 32, 0, 1.5, false",
    "F16, 5, 1, 24, 66, 0, true"
  })
  void matchesTheDefinitionForSequencesOfAnyLengths(
      DType type, int heads, int kvHeads, int dim, int window, float cap, boolean alibi) {
    try (Cpu cpu = Cpu.open(2)) {
      matches(cpu, type, heads, kvHeads, dim, window, cap, alibi);
    }
  }

  static void matches(
      Device device,
      DType type,
      int heads,
      int kvHeads,
      int dim,
      int window,
      float cap,
      boolean alibi) {
    try (Case c = new Case(device, type, heads, kvHeads, dim, 0, 1, 63, 64, 65, 200, 2)) {
      AttentionMask mask = AttentionMask.CAUSAL.window(window).softCap(cap);
      double @Nullable [] slopes = null;
      if (alibi) {
        float[] s = AttentionMask.alibiSlopes(heads);
        slopes = new double[heads];
        for (int h = 0; h < heads; h++) {
          slopes[h] = s[h];
        }
        mask = mask.slopes(c.tensor(DType.F32, Shape.of(heads), slopes));
      }
      double[] got = c.together(mask);
      for (int s = 0; s < c.lengths.length; s++) {
        Oracle oracle =
            new Oracle(
                1,
                1,
                c.lengths[s] + 1,
                heads,
                kvHeads,
                dim,
                true,
                window,
                null,
                null,
                null,
                slopes,
                cap,
                1 / Math.sqrt(dim));
        double[] want = oracle.apply(c.query(s), c.keys.get(s), c.values.get(s));
        double[] mine = Arrays.copyOfRange(got, s * heads * dim, (s + 1) * heads * dim);
        double bound = type == DType.F32 ? 4e-6 : type == DType.F16 ? 2e-3 : 2e-2;
        for (int i = 0; i < want.length; i++) {
          assertThat(mine[i]).as("sequence %d, %d", s, i).isCloseTo(want[i], within(bound));
        }
        assertThat(c.alone(s, mask)).as("sequence %d alone", s).isEqualTo(mine);
      }
    }
  }

  @Test
  void refusesWhatItDoesNotHave() {
    try (Cpu cpu = Cpu.open(1);
        Case c = new Case(cpu, DType.F32, 2, 1, 8, 3, 70)) {
      Tensor lengths = c.tensor(DType.I32, Shape.of(2), new double[] {1, 1});
      assertThatThrownBy(() -> c.together(AttentionMask.CAUSAL.lengths(lengths)))
          .hasMessageContaining("without arrays over keys");
      assertThatThrownBy(() -> c.together(AttentionMask.FULL)).hasMessageContaining("causal");
    }
  }

  /** Sequences of random keys and values, all but the last of each in pages. */
  private static final class Case implements AutoCloseable {
    final Device device;
    final DType type;
    final int heads;
    final int kvHeads;
    final int dim;
    final int[] lengths;
    final double[] queries;
    final List<double[]> keys = new ArrayList<>();
    final List<double[]> values = new ArrayList<>();
    final List<Memory> owned = new ArrayList<>();

    Case(Device device, DType type, int heads, int kvHeads, int dim, int... lengths) {
      this.device = device;
      this.type = type;
      this.heads = heads;
      this.kvHeads = kvHeads;
      this.dim = dim;
      this.lengths = lengths;
      Random random = new Random(31L * heads + dim);
      this.queries = gaussians(random, lengths.length * heads * dim);
      for (int length : lengths) {
        keys.add(gaussians(random, (length + 1) * kvHeads * dim));
        values.add(gaussians(random, (length + 1) * kvHeads * dim));
      }
    }

    private double[] gaussians(Random random, int n) {
      return random.doubles(n).map(x -> Tensors.round(4 * x - 2, type)).toArray();
    }

    double[] query(int s) {
      return Arrays.copyOfRange(queries, s * heads * dim, (s + 1) * heads * dim);
    }

    Tensor tensor(DType t, Shape shape, double @Nullable [] x) {
      Memory memory = device.allocate(t.bytes(shape.elements()));
      owned.add(memory);
      Tensor all = Tensor.of(memory, 0, t, shape);
      if (x != null) {
        Tensors.fill(all, x);
      }
      return all;
    }

    double[] alone(int s, AttentionMask mask) {
      return run(mask, s);
    }

    double[] together(AttentionMask mask) {
      int[] all = new int[lengths.length];
      Arrays.setAll(all, i -> i);
      return run(mask, all);
    }

    private double[] run(AttentionMask mask, int... which) {
      int n = which.length;
      int row = kvHeads * dim;
      int longest = Arrays.stream(which).map(s -> lengths[s]).max().orElse(0);
      int columns = longest / PAGE + 1;
      long[] table = new long[n * columns];
      long valuesAt = BEFORE + (long) PAGE * row;
      double[] q = new double[n * heads * dim];
      double[] k = new double[n * row];
      double[] v = new double[n * row];
      for (int i = 0; i < n; i++) {
        int s = which[i];
        System.arraycopy(queries, s * heads * dim, q, i * heads * dim, heads * dim);
        System.arraycopy(keys.get(s), lengths[s] * row, k, i * row, row);
        System.arraycopy(values.get(s), lengths[s] * row, v, i * row, row);
        for (int p = 0; p <= lengths[s] / PAGE; p++) {
          Tensor page = tensor(type, Shape.of((int) valuesAt + PAGE * row + 3), null);
          double[] content = new double[(int) page.elements()];
          Arrays.fill(content, Double.NaN); // what was never stored must not be read
          int count = Math.min(PAGE, lengths[s] - p * PAGE) * row;
          System.arraycopy(keys.get(s), p * PAGE * row, content, (int) BEFORE, count);
          System.arraycopy(values.get(s), p * PAGE * row, content, (int) valuesAt, count);
          Tensors.fill(page, content);
          table[i * columns + p] =
              switch (page.memory()) {
                case HostMemory m -> m.segment().address();
                case DeviceMemory m -> m.address();
              };
        }
      }
      Tensor addresses = tensor(DType.I64, Shape.of(n, columns), null);
      addresses.fromHost(MemorySegment.ofArray(table));
      Tensor counts = tensor(DType.I32, Shape.of(n), null);
      int[] before = Arrays.stream(which).map(s -> lengths[s]).toArray();
      counts.fromHost(MemorySegment.ofArray(before));
      Tensor o = tensor(type, Shape.of(1, n, heads, dim), null);
      PagedAttention.forward(
          o,
          tensor(type, Shape.of(1, n, heads, dim), q),
          tensor(type, Shape.of(1, n, kvHeads, dim), k),
          tensor(type, Shape.of(1, n, kvHeads, dim), v),
          new PagedAttention.Pages(addresses, counts, longest, BEFORE, valuesAt),
          mask,
          (float) (1 / Math.sqrt(dim)));
      return Tensors.toDoubles(o);
    }

    @Override
    public void close() {
      owned.forEach(Memory::close);
    }
  }
}
