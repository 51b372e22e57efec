package dev.javelin.kernels.cuda;

import static java.util.Objects.requireNonNull;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatCode;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.io.IOException;
import java.io.InputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.stream.IntStream;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.Test;

/**
 * Shipped kernels are for 9.0 what they claim to be. That none spills and that no {@code wgmma} is
 * serialised, the build has seen to.
 */
class ShippedCodeTest {
  private static final Path PAGE = Path.of("../docs/kernels/instructions.md");

  /** What a kernel may claim. */
  private enum Way {
    /** {@code HGMMA} in the main loop, and no {@code HMMA}. */
    WGMMA,
    /** {@code HMMA} in the main loop. */
    MMA_SYNC,
    /** {@code UTMALDG}, and no {@code LDGSTS}. */
    TMA,
    /** The same; some of it brings to all blocks of the cluster. With {@link #TMA} none does. */
    MULTICAST,
    /** {@code LDGSTS} in the main loop. */
    CP_ASYNC
  }

  /**
   * About the kernels of a family whose names match: how they multiply and copy, and at most how
   * many block-wide barriers a pass of the main loop has. None touches local memory.
   */
  private record Claim(String family, String kernels, Way multiplies, Way copies, int barriers) {}

  private static final List<Claim> CLAIMS =
      List.of(
          new Claim("matmul", "matmul_.*", Way.MMA_SYNC, Way.CP_ASYNC, 1),
          new Claim("matmul_small", "matmul_small_.*", Way.MMA_SYNC, Way.CP_ASYNC, 1),
          new Claim("matmul_hopper_256", "matmul_hopper_.*", Way.WGMMA, Way.TMA, 0),
          new Claim("matmul_hopper_192", "matmul_hopper_.*", Way.WGMMA, Way.TMA, 0),
          new Claim("matmul_hopper_128", "matmul_hopper_.*", Way.WGMMA, Way.TMA, 0),
          new Claim("matmul_hopper_256_pair", "matmul_hopper_.*", Way.WGMMA, Way.MULTICAST, 0),
          new Claim("matmul_hopper_192_pair", "matmul_hopper_.*", Way.WGMMA, Way.MULTICAST, 0),
          new Claim("matmul_hopper_128_pair", "matmul_hopper_.*", Way.WGMMA, Way.MULTICAST, 0),
          // two buffers, of keys and of values, that are filled in turn
          new Claim(
              "attention_forward",
              "attention_forward_.*d\\d+_.*f16",
              Way.MMA_SYNC,
              Way.CP_ASYNC,
              2),
          new Claim("attention_forward_hopper", "attention_.*", Way.WGMMA, Way.TMA, 0),
          new Claim(
              "attention_backward",
              "attention_backward_.*d\\d+_.*f16",
              Way.MMA_SYNC,
              Way.CP_ASYNC,
              2),
          new Claim(
              "attention_backward_hopper",
              "attention_backward_hopper_d\\d.*",
              Way.WGMMA,
              Way.TMA,
              0));

  /** The columns of the page. */
  private static final List<String> COUNTED =
      List.of("HGMMA", "HMMA", "FFMA", "MUFU", "FMNMX", "LDSM", "LDS", "STS", "LDGSTS", "UTMALDG");

  /** {@code -Djavelin.draw} writes the page anew. */
  @Test
  void kernelsHoldWhatTheyClaimAndThePageCountsThem() throws IOException {
    Path disassembler = MachineCode.disassembler();
    assumeTrue(disassembler != null, "no cuobjdump and nvdisasm on PATH or in /usr/local/cuda/bin");
    StringBuilder page = new StringBuilder(head());
    for (Claim claim : CLAIMS) {
      byte[] fatbin = fatbin(claim.family);
      assumeTrue(fatbin != null, "this build has no code for GPUs (no nvcc)");
      Map<String, MachineCode.Code> kernels =
          new TreeMap<>(MachineCode.kernels(requireNonNull(disassembler), requireNonNull(fatbin)));
      kernels.keySet().removeIf(name -> !name.matches(claim.kernels));
      assertThat(kernels).as("kernels like " + claim.kernels).isNotEmpty();
      kernels.forEach(
          (name, code) -> {
            hold(name, code, claim);
            if (name.contains("_forward_hopper_")) {
              holdOverlap(name, code.mainLoop().pass().names(), 2, 128 / 2, 128 / 2);
            } else if (name.contains("_backward_hopper_")) {
              // ptxas puts the last ones behind the wait
              holdOverlap(name, code.mainLoop().pass().names(), 4, 24, 64 / 2);
            }
            if (!name.contains("_f16") && !name.contains("_dropped_")) {
              page.append(row(name, code.mainLoop().pass()));
            }
          });
    }
    if (System.getProperty("javelin.draw") != null) {
      Files.writeString(PAGE, page);
    }
    assertThat(Files.exists(PAGE) ? Files.readString(PAGE) : "")
        .as(PAGE + ": write it anew with -Djavelin.draw")
        .isEqualTo(page.toString());
  }

  private static void hold(String name, MachineCode.Code all, Claim claim) {
    MachineCode.Code loop = all.mainLoop();
    assertThat(all.starting("LDL") + all.starting("STL")).as(name + ": local memory").isZero();
    for (Way way : List.of(claim.multiplies, claim.copies)) {
      String what = name + " claims " + way;
      switch (way) {
        case WGMMA -> {
          assertThat(loop.starting("HGMMA")).as(what).isPositive();
          assertThat(loop.starting("HMMA")).as(what).isZero();
        }
        case MMA_SYNC -> assertThat(loop.starting("HMMA")).as(what).isPositive();
        case TMA, MULTICAST -> {
          assertThat(all.starting("UTMALDG")).as(what).isPositive();
          assertThat(all.starting("LDGSTS")).as(what).isZero();
          assertThat(all.count(n -> n.contains("MULTICAST")) > 0)
              .as(what)
              .isEqualTo(way == Way.MULTICAST);
        }
        case CP_ASYNC -> assertThat(loop.starting("LDGSTS")).as(what).isPositive();
      }
    }
    assertThat(barriers(loop.pass()))
        .as(name + ": block-wide barriers of a pass")
        .isLessThanOrEqualTo(claim.barriers);
  }

  /**
   * Exponentials while tensor cores multiply what does not depend on them, the values of another
   * tile or dP of this one: they stand between a pass's first wait, for scores, and its second.
   */
  private static void holdOverlap(
      String name, List<String> pass, int count, int least, int exponentials) {
    List<Integer> waits =
        IntStream.range(0, pass.size())
            .filter(i -> pass.get(i).startsWith("WARPGROUP.DEPBAR"))
            .boxed()
            .toList();
    assertThat(waits).as(name + ": waits for products").hasSize(count);
    assertThat(pass.subList(waits.get(0), waits.get(1)))
        .as(name + ": between its waits for scores and for the product beside them")
        .filteredOn(i -> i.startsWith("MUFU.EX2"))
        .hasSizeBetween(least, exponentials);
  }

  private static long barriers(MachineCode.Code code) {
    return code.instructions().stream().filter(MachineCode.Instruction::isBlockBarrier).count();
  }

  private static String head() {
    return """
        # Instructions of the main loops

        Written by `ShippedCodeTest`, which holds it against the machine code where NVIDIA's disassembler is at hand, and holds
        each kernel to what it claims there. Counted for 9.0, of a thread, in one pass of the main loop
        that does all products and copies with the fewest instructions: no ragged edge, no mask, no soft cap. Barriers are
        block-wide, uniform those of the warp's own registers and units. Kernels of fp16 are as those of bf16. [Predicted times](predicted.md) are fed with these counts.

        | kernel | instructions | uniform | %s | barriers |
        |---|---|---|%s---|
        """
        .formatted(
            String.join(" | ", COUNTED.stream().map(c -> "`" + c + "`").toList()),
            "---|".repeat(COUNTED.size()));
  }

  private static String row(String name, MachineCode.Code pass) {
    StringBuilder row =
        new StringBuilder(
            "| `%s` | %d | %d |".formatted(name, pass.names().size(), pass.uniform()));
    COUNTED.forEach(c -> row.append(" %d |".formatted(pass.starting(c))));
    return row.append(" %d |\n".formatted(barriers(pass))).toString();
  }

  private static byte @Nullable [] fatbin(String family) throws IOException {
    String name = "/dev/javelin/kernels/cuda/" + family + ".fatbin";
    try (InputStream in = ShippedCodeTest.class.getResourceAsStream(name)) {
      return in == null ? null : in.readAllBytes();
    }
  }

  /** A loop with a cold path, an inner loop and a barrier of some warps, as they are printed. */
  @Test
  void aPassLeavesOutWhatItMay() {
    String text =
        """
        \t\tFunction : k
                /*0000*/                   MOV R1, c[0x0][0x28] ;
                /*0010*/                   HGMMA.64x256x16.F32.BF16 R24, gdesc[UR4], R24 ;
                /*0020*/               @P0 BRA 0x50 ;
                /*0030*/                   LDL R2, [R1] ;
                /*0040*/                   BAR.SYNC.DEFER_BLOCKING 0x0 ;
                /*0050*/              @!P1 BRA 0x70 ;
                /*0060*/                   UTMALDG.2D [UR8], [UR6] ;
                /*0070*/                   BAR.SYNC.DEFER_BLOCKING 0x1, 0x80 ;
                /*0080*/              @!PT LDS R4, [R6] ;
                /*0090*/               @P2 BRA 0x10 ;
                /*00a0*/                   EXIT ;
        """;
    MachineCode.Code all = requireNonNull(MachineCode.kernels(text).get("k"));
    assertThat(all.mainLoop().names()).hasSize(8).doesNotContain("EXIT", "LDS");
    MachineCode.Code pass = all.mainLoop().pass();
    assertThat(pass.names())
        .containsExactly(
            "HGMMA.64x256x16.F32.BF16",
            "BRA",
            "BRA",
            "UTMALDG.2D",
            "BAR.SYNC.DEFER_BLOCKING",
            "BRA");
    assertThat(barriers(all.mainLoop())).isEqualTo(1);
    assertThat(barriers(pass)).isZero();
    assertThatCode(() -> hold("k", all, new Claim("", "", Way.WGMMA, Way.TMA, 0)))
        .hasMessageContaining("local memory");
  }
}
