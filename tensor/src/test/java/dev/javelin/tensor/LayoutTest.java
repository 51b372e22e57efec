package dev.javelin.tensor;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

class LayoutTest {

  static IntStream seeds() {
    return IntStream.range(0, 300);
  }

  @ParameterizedTest
  @MethodSource("seeds")
  void reshapeKeepsTheOrderOfElementsOrRefuses(int seed) {
    Random random = new Random(seed);
    Layout from = randomView(random);
    Shape to = randomShapeOf((int) from.shape().elements(), random);
    List<Long> order = positions(from);
    try {
      assertThat(positions(from.reshape(to))).as("%s to %s", from, to).isEqualTo(order);
    } catch (IllegalArgumentException e) {
      assertThat(e).hasMessageContaining("contiguous()");
      assertThat(from.isContiguous()).isFalse();
    }
  }

  @ParameterizedTest
  @MethodSource("seeds")
  void rowStrideFindsTheStartOfEveryRow(int seed) {
    Layout layout = randomView(new Random(seed));
    if (!layout.hasDenseRows()) {
      return;
    }
    List<Long> expected = new ArrayList<>();
    for (int r = 0; r < layout.shape().rows(); r++) {
      for (int c = 0; c < layout.shape().last(); c++) {
        expected.add(r * layout.rowStride() + c);
      }
    }
    assertThat(positions(layout)).isEqualTo(expected);
  }

  @Test
  void partsOfAPackedTensorHaveDenseRows() {
    Layout packed = Layout.contiguous(Shape.of(2, 5, 12));
    Layout part = packed.slice(2, 4, 8);
    assertThat(part.rowStride()).isEqualTo(12);
    assertThat(part.reshape(Shape.of(2, 5, 2, 2)).stride(1)).isEqualTo(12);
    assertThat(part.reshape(Shape.of(10, 4)).stride(0)).isEqualTo(12);
    assertThatThrownBy(() -> part.reshape(Shape.of(40))).hasMessageContaining("contiguous()");
    assertThat(packed.transpose(1, 2).hasDenseRows()).isFalse();
    assertThatThrownBy(() -> packed.transpose(1, 2).rowStride())
        .hasMessageContaining("contiguous()");
  }

  @Test
  void rejectsSlicesAndDimensionsThatAreNotThere() {
    Layout l = Layout.contiguous(Shape.of(2, 3));
    assertThatThrownBy(() -> l.slice(1, 2, 4)).isInstanceOf(IllegalArgumentException.class);
    assertThatThrownBy(() -> l.slice(1, -1, 2)).isInstanceOf(IllegalArgumentException.class);
    assertThatThrownBy(() -> l.shape().dim(2)).hasMessageContaining("no dimension 2");
    assertThatThrownBy(() -> Shape.of(2, -1)).hasMessageContaining("negative");
    assertThatThrownBy(() -> l.reshape(Shape.of(7))).hasMessageContaining("number of elements");
  }

  private static Layout randomView(Random random) {
    int[] dims = random.ints(1 + random.nextInt(4), 1, 6).toArray();
    Layout l = Layout.contiguous(Shape.of(dims));
    for (int i = random.nextInt(3); i > 0; i--) {
      int d = random.nextInt(dims.length);
      if (random.nextBoolean()) {
        l = l.transpose(d, random.nextInt(dims.length));
      } else {
        int to = 1 + random.nextInt(l.shape().dim(d));
        l = l.slice(d, random.nextInt(to), to);
      }
    }
    return l;
  }

  private static Shape randomShapeOf(int elements, Random random) {
    List<Integer> dims = new ArrayList<>();
    int rest = elements;
    while (rest > 1) {
      int pick = 1 + random.nextInt(rest);
      while (rest % pick != 0) {
        pick--;
      }
      dims.add(pick);
      rest /= pick;
    }
    dims.add(random.nextInt(dims.size() + 1), 1);
    return Shape.of(dims.stream().mapToInt(i -> i).toArray());
  }

  /** Where each element lies, in row-major order of its index. */
  private static List<Long> positions(Layout l) {
    List<Long> out = new ArrayList<>();
    for (long n = 0; n < l.shape().elements(); n++) {
      long rest = n;
      long at = 0;
      for (int d = l.shape().rank() - 1; d >= 0; d--) {
        at += rest % l.shape().dim(d) * l.stride(d);
        rest /= l.shape().dim(d);
      }
      out.add(at);
    }
    return out;
  }
}
