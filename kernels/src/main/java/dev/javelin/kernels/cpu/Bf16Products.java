package dev.javelin.kernels.cpu;

import dev.javelin.device.DType;
import dev.javelin.device.MachineCode;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.Optional;
import java.util.function.Supplier;
import org.jspecify.annotations.Nullable;

/**
 * Which tile serves the products of two bf16 matrices on this machine. Chosen once, by what the
 * processor has; never by timing.
 */
public final class Bf16Products {
  /** The property that chooses the Java twin: the bits of a machine with AVX512-BF16, slowly. */
  static final String PROPERTY = "javelin.bf16";

  private static final String PAIRS = "pairs";
  private static final int NEEDED_BITS = 512;
  private static final int CHECK_DEPTH = 7; // odd: a pair is cut
  private static final double CHECK_TOLERANCE = 1e-5;

  private Bf16Products() {}

  /** What computes them, for people: {@code AVX512-BF16 (machine code)}. */
  public static String description() {
    return Choice.MADE.description();
  }

  /** Their tile; {@code null} where the tile of fp32 products serves them too. */
  static @Nullable MatmulPairTile tile() {
    return Choice.MADE.tile();
  }

  record Choice(@Nullable MatmulPairTile tile, String description) {
    /** Made at the first product of two bf16 matrices. */
    static final Choice MADE =
        choose(
            System.getProperty(PROPERTY, ""),
            MachineCode.obstacle(),
            VectorWidth.bits(),
            () -> Processor.THIS,
            MatmulTileBf16::load);

    /**
     * @param obstacle why there is no machine code
     * @param bits of the vectors that Java uses: without 512 there is no question, and asking takes
     *     some milliseconds
     */
    static Choice choose(
        String property,
        @Nullable String obstacle,
        int bits,
        Supplier<Processor> processor,
        Supplier<Optional<? extends MatmulPairTile>> avx512) {
      if (property.equals(PAIRS)) {
        return new Choice(
            new MatmulTileTwin(MatmulTileBf16.ROWS, MatmulTileBf16.COLS),
            "Java twin of the AVX512-BF16 tile (chosen by -D" + PROPERTY + "=" + PAIRS + ")");
      }
      if (obstacle != null) {
        return vectorApi(obstacle);
      }
      if (bits < NEEDED_BITS) {
        return vectorApi("neither AVX512-BF16 nor AMX-BF16 without vectors of 512 bits");
      }
      if (!processor.get().avx512Bf16()) {
        return vectorApi("this processor has neither AVX512-BF16 nor AMX-BF16");
      }
      MatmulPairTile tile = avx512.get().orElse(null);
      if (tile == null) {
        return vectorApi("the system refuses executable memory");
      }
      if (!agrees(tile)) {
        System.getLogger(Bf16Products.class.getName())
            .log(
                System.Logger.Level.WARNING,
                "AVX512-BF16 gave a wrong product in the check at the start and is not used;"
                    + " bf16 products go through the Vector API, more slowly");
        return vectorApi("AVX512-BF16 gave a wrong product in the check at the start");
      }
      return new Choice(tile, "AVX512-BF16 (machine code)");
    }

    private static Choice vectorApi(String reason) {
      return new Choice(null, "Vector API (" + reason + ")");
    }
  }

  /**
   * Whether a tile's product is what it should be, but for rounding. In plain arrays, as memory
   * segments are slow before they are compiled: this is the first thing that bf16 products do.
   */
  static boolean agrees(MatmulPairTile tile) {
    short[] a = numbers(tile.rows, 1);
    short[] b = numbers(tile.cols, 2);
    float[] product = product(tile, a, b);
    for (int i = 0; i < tile.rows; i++) {
      for (int j = 0; j < tile.cols; j++) {
        double error = product[i * tile.cols + j];
        for (int k = 0; k < CHECK_DEPTH; k++) {
          error -= (double) value(a[i * CHECK_DEPTH + k]) * value(b[j * CHECK_DEPTH + k]);
        }
        if (!(Math.abs(error) <= CHECK_TOLERANCE)) { // a NaN is wrong, too
          return false;
        }
      }
    }
    return true;
  }

  private static float value(short bf16) {
    return Float.intBitsToFloat(bf16 << 16);
  }

  /** Lines along k of bf16 numbers between -1 and 1. */
  private static short[] numbers(int lines, int seed) {
    short[] numbers = new short[lines * CHECK_DEPTH];
    int state = seed;
    for (int i = 0; i < numbers.length; i++) {
      state = state * 1664525 + 1013904223; // Numerical Recipes' generator
      numbers[i] = (short) (Float.floatToIntBits(state * 0x1p-31f) >> 16);
    }
    return numbers;
  }

  /** {@code [rows, cols]}, through the panels of the tile. */
  private static float[] product(MatmulPairTile tile, short[] a, short[] b) {
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment aPanel = arena.allocate(tile.panelBytes(tile.rows, CHECK_DEPTH), 64);
      MemorySegment bPanel = arena.allocate(tile.panelBytes(tile.cols, CHECK_DEPTH), 64);
      MemorySegment c = arena.allocate(4L * tile.rows * tile.cols, 64);
      MatmulOperand rows = operand(arena, a, tile.rows);
      MatmulOperand cols = operand(arena, b, tile.cols);
      tile.packA(aPanel.address(), rows, 0, tile.rows, 0, CHECK_DEPTH, 0);
      tile.packB(bPanel.address(), cols, 0, tile.cols, 0, CHECK_DEPTH, 0);
      tile.multiply(c.address(), 4L * tile.cols, aPanel.address(), bPanel.address(), CHECK_DEPTH);
      return c.toArray(ValueLayout.JAVA_FLOAT);
    }
  }

  private static MatmulOperand operand(Arena arena, short[] numbers, int lines) {
    MemorySegment memory = arena.allocateFrom(ValueLayout.JAVA_SHORT, numbers);
    return MatmulOperand.of("x", memory, DType.BF16, CHECK_DEPTH, true, lines, CHECK_DEPTH);
  }
}
