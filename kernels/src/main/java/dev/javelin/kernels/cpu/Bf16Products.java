package dev.javelin.kernels.cpu;

import dev.javelin.device.DType;
import dev.javelin.device.MachineCode;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.function.Predicate;
import java.util.function.Supplier;
import org.jspecify.annotations.Nullable;

/**
 * Which tile serves the products of two bf16 matrices on this machine. Chosen once, by what the
 * processor has; never by timing.
 */
public final class Bf16Products {
  /**
   * The property that chooses: {@code pairs} is the Java twin, the bits of a machine with
   * AVX512-BF16, slowly; {@code avx512} leaves AMX alone.
   */
  static final String PROPERTY = "javelin.bf16";

  private static final String PAIRS = "pairs";
  private static final String AVX512 = "avx512";
  private static final String AVX512_BF16 = "AVX512-BF16";
  private static final int NEEDED_BITS = 512;
  private static final int CHECK_REST = 7; // odd: a pair is cut
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

  /**
   * A unit for bf16 products that processors may have.
   *
   * @param load empty where the system refuses something, which {@code refused} names
   */
  record Unit(
      String name,
      Predicate<Processor> in,
      Supplier<Optional<? extends MatmulPairTile>> load,
      String refused) {}

  /** The fastest first. */
  private static final List<Unit> UNITS =
      List.of(
          new Unit(
              "AMX-BF16",
              Processor::amxBf16,
              MatmulTileAmx::load,
              "the system refuses executable memory or the tiles of AMX"),
          new Unit(
              AVX512_BF16,
              Processor::avx512Bf16,
              MatmulTileBf16::load,
              "the system refuses executable memory"));

  record Choice(@Nullable MatmulPairTile tile, String description) {
    /** Made at the first product of two bf16 matrices. */
    static final Choice MADE =
        choose(
            System.getProperty(PROPERTY, ""),
            MachineCode.obstacle(),
            VectorWidth.bits(),
            () -> Processor.THIS,
            UNITS);

    /**
     * @param property an unknown one is reported and ignored
     * @param obstacle why there is no machine code
     * @param bits of the vectors that Java uses: without 512 there is no question, and asking takes
     *     some milliseconds
     */
    static Choice choose(
        String property,
        @Nullable String obstacle,
        int bits,
        Supplier<Processor> processor,
        List<Unit> units) {
      if (property.isEmpty() || property.equals(PAIRS) || property.equals(AVX512)) {
        return chooseKnown(property, obstacle, bits, processor, units);
      }
      String unknown =
          "-D%s=%s is neither %s nor %s and is ignored"
              .formatted(PROPERTY, property, PAIRS, AVX512);
      System.getLogger(Bf16Products.class.getName()).log(System.Logger.Level.WARNING, unknown);
      Choice choice = chooseKnown("", obstacle, bits, processor, units);
      return new Choice(choice.tile(), choice.description() + "; " + unknown);
    }

    private static Choice chooseKnown(
        String property,
        @Nullable String obstacle,
        int bits,
        Supplier<Processor> processor,
        List<Unit> units) {
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
      Processor has = processor.get();
      List<String> reasons = new ArrayList<>();
      for (Unit unit : units) {
        boolean wanted = !property.equals(AVX512) || unit.name().equals(AVX512_BF16);
        if (!wanted || !unit.in().test(has)) {
          continue;
        }
        MatmulPairTile tile = unit.load().get().orElse(null);
        if (tile == null) {
          reasons.add(unit.refused());
        } else if (!agrees(tile)) {
          reasons.add(unit.name() + " gave a wrong product in the check at the start");
          System.getLogger(Bf16Products.class.getName())
              .log(
                  System.Logger.Level.WARNING,
                  unit.name()
                      + " gave a wrong product in the check at the start and is not used;"
                      + " bf16 products are slower");
        } else {
          reasons.addFirst("machine code");
          return new Choice(tile, unit.name() + " (" + String.join("; ", reasons) + ")");
        }
      }
      return vectorApi(
          reasons.isEmpty()
              ? "this processor has neither AVX512-BF16 nor AMX-BF16"
              : String.join("; ", reasons));
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
    int depth = tile.kStep() + CHECK_REST;
    short[] a = numbers(tile.rows * depth, 1);
    short[] b = numbers(tile.cols * depth, 2);
    float[] product = product(tile, a, b, depth);
    for (int i = 0; i < tile.rows; i++) {
      for (int j = 0; j < tile.cols; j++) {
        double error = product[i * tile.cols + j];
        for (int k = 0; k < depth; k++) {
          error -= (double) value(a[i * depth + k]) * value(b[j * depth + k]);
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

  /** bf16 numbers between -1 and 1. */
  private static short[] numbers(int count, int seed) {
    short[] numbers = new short[count];
    int state = seed;
    for (int i = 0; i < numbers.length; i++) {
      state = state * 1664525 + 1013904223; // Numerical Recipes' generator
      numbers[i] = (short) (Float.floatToIntBits(state * 0x1p-31f) >> 16);
    }
    return numbers;
  }

  /** {@code [rows, cols]}, through the panels of the tile. */
  private static float[] product(MatmulPairTile tile, short[] a, short[] b, int depth) {
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment aPanel = arena.allocate(tile.panelBytes(tile.rows, depth), 64);
      MemorySegment bPanel = arena.allocate(tile.panelBytes(tile.cols, depth), 64);
      MemorySegment c = arena.allocate(4L * tile.rows * tile.cols, 64);
      MatmulOperand rows = operand(arena, a, tile.rows, depth);
      MatmulOperand cols = operand(arena, b, tile.cols, depth);
      tile.packA(aPanel.address(), rows, 0, tile.rows, 0, depth, 0);
      tile.packB(bPanel.address(), cols, 0, tile.cols, 0, depth, 0);
      tile.multiply(c.address(), 4L * tile.cols, aPanel.address(), bPanel.address(), depth);
      return c.toArray(ValueLayout.JAVA_FLOAT);
    }
  }

  private static MatmulOperand operand(Arena arena, short[] numbers, int lines, int depth) {
    MemorySegment memory = arena.allocateFrom(ValueLayout.JAVA_SHORT, numbers);
    return MatmulOperand.of("x", memory, DType.BF16, depth, true, lines, depth);
  }
}
