package dev.javelin.kernels.cpu;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import dev.javelin.device.MachineCode;
import dev.javelin.kernels.cpu.Bf16Products.Choice;
import dev.javelin.kernels.cpu.Bf16Products.Unit;
import java.util.List;
import java.util.Optional;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.Test;

class Bf16ProductsTest {
  private static final Processor WITH_IT = new Processor(true, false, false);
  private static final String NO_TILES = "the system refuses the tiles";

  /** One that does what {@code vdpbf16ps} does, up to an error. */
  private static final class Scaled extends MatmulPairTile {
    private final MatmulTileTwin twin = new MatmulTileTwin(12, 32);
    private final float factor;

    Scaled(float factor) {
      super(12, 32, 2);
      this.factor = factor;
    }

    @Override
    void multiply(long c, long rowBytes, long aPanel, long bPanel, int kc) {
      twin.multiply(c, rowBytes, aPanel, bPanel, kc);
      long last = c + 11 * rowBytes + 4 * 31;
      Ram.ALL.set(Ram.FLOAT, last, factor * Ram.ALL.get(Ram.FLOAT, last));
    }
  }

  private static Choice choose(
      String property, @Nullable String obstacle, Processor processor, @Nullable MatmulPairTile t) {
    return Choice.choose(property, obstacle, 512, () -> processor, List.of(amx(null), avx512(t)));
  }

  private static Unit amx(@Nullable MatmulPairTile tile) {
    return new Unit("AMX-BF16", Processor::amxBf16, () -> Optional.ofNullable(tile), NO_TILES);
  }

  private static Unit avx512(@Nullable MatmulPairTile tile) {
    return new Unit(
        "AVX512-BF16",
        Processor::avx512Bf16,
        () -> Optional.ofNullable(tile),
        "the system refuses executable memory");
  }

  private static Choice chooseOfBoth(
      String property, @Nullable MatmulPairTile amx, @Nullable MatmulPairTile avx512) {
    Processor both = new Processor(true, true, false);
    return Choice.choose(property, null, 512, () -> both, List.of(amx(amx), avx512(avx512)));
  }

  @Test
  void amxComesFirstAndAvx512WhereItIsNotToBeHad() {
    MatmulPairTile amx = InterpretedTiles.amxBf16();
    MatmulPairTile avx512 = InterpretedTiles.avx512Bf16();
    assertThat(chooseOfBoth("", amx, avx512)).isEqualTo(new Choice(amx, "AMX-BF16 (machine code)"));
    assertThat(chooseOfBoth("", null, avx512))
        .isEqualTo(new Choice(avx512, "AVX512-BF16 (machine code; " + NO_TILES + ")"));
    assertThat(chooseOfBoth("", new Scaled(2), avx512).description())
        .isEqualTo(
            "AVX512-BF16 (machine code; AMX-BF16 gave a wrong product in the check at the start)");
    assertThat(chooseOfBoth("avx512", amx, avx512))
        .isEqualTo(new Choice(avx512, "AVX512-BF16 (machine code)"));
    assertThat(chooseOfBoth("", null, null).description())
        .isEqualTo("Vector API (" + NO_TILES + "; the system refuses executable memory)");
    Processor amxAlone = new Processor(false, true, false);
    assertThat(
            Choice.choose("", null, 512, () -> amxAlone, List.of(amx(amx), avx512(avx512))).tile())
        .isSameAs(amx);
  }

  @Test
  void aProcessorThatHasTheInstructionUsesIt() {
    MatmulPairTile tile = new Scaled(1);
    assertThat(choose("", null, WITH_IT, tile))
        .isEqualTo(new Choice(tile, "AVX512-BF16 (machine code)"));
  }

  @Test
  void everyOtherMachineSaysWhyItDoesNot() {
    assertThat(choose("", null, Processor.PLAIN, new Scaled(1)))
        .isEqualTo(
            new Choice(null, "Vector API (this processor has neither AVX512-BF16 nor AMX-BF16)"));
    assertThat(choose("", "switched off by -Djavelin.native=false", WITH_IT, new Scaled(1)))
        .isEqualTo(new Choice(null, "Vector API (switched off by -Djavelin.native=false)"));
    assertThat(choose("", "this is Mac OS X on aarch64", WITH_IT, null))
        .isEqualTo(new Choice(null, "Vector API (this is Mac OS X on aarch64)"));
    assertThat(choose("", null, WITH_IT, null))
        .isEqualTo(new Choice(null, "Vector API (the system refuses executable memory)"));
  }

  /** Also where -XX:UseAVX=2 keeps Java from them. */
  @Test
  void withoutVectorsOf512BitsTheProcessorIsNotAsked() {
    Choice choice =
        Choice.choose(
            "",
            null,
            256,
            () -> {
              throw new AssertionError("asked");
            },
            List.of());
    assertThat(choice.tile()).isNull();
    assertThat(choice.description()).startsWith("Vector API (neither AVX512-BF16 nor AMX-BF16");
  }

  @Test
  void aPropertyChoosesTheTwinOnAnyMachine() {
    Choice choice = choose("pairs", "none at all", Processor.PLAIN, null);
    assertThat(choice.tile()).isInstanceOf(MatmulTileTwin.class);
    assertThat(choice.description()).contains("-Djavelin.bf16=pairs");
  }

  @Test
  void anUnknownPropertyIsReportedAndIgnored() {
    MatmulPairTile tile = new Scaled(1);
    assertThat(choose("fast", null, WITH_IT, tile))
        .isEqualTo(
            new Choice(
                tile,
                "AVX512-BF16 (machine code); -Djavelin.bf16=fast is neither pairs nor avx512 and"
                    + " is ignored"));
  }

  @Test
  void aTileThatIsWrongIsNotUsed() {
    assertThat(Bf16Products.agrees(new Scaled(1))).isTrue();
    assertThat(Bf16Products.agrees(new Scaled(1 + 0x1p-22f))).isTrue(); // a rounding
    assertThat(Bf16Products.agrees(new Scaled(1.001f))).isFalse();
    assertThat(Bf16Products.agrees(new Scaled(Float.NaN))).isFalse();
    assertThat(choose("", null, WITH_IT, new Scaled(-1)))
        .isEqualTo(
            new Choice(
                null, "Vector API (AVX512-BF16 gave a wrong product in the check at the start)"));
  }

  @Test
  void whatThisMachineUsesIsWhatItsProcessorHas() {
    assumeTrue(System.getProperty(Bf16Products.PROPERTY) == null, "a tile is chosen by hand");
    boolean unit = Bf16Products.tile() != null;
    assertThat(unit)
        .isEqualTo(
            MachineCode.obstacle() == null
                && VectorWidth.bits() == 512
                && (Processor.THIS.avx512Bf16() || Processor.THIS.amxBf16()));
    assertThat(Bf16Products.description()).contains(unit ? "-BF16 (machine code" : "Vector API (");
  }
}
