package dev.javelin.kernels.cuda;

import static org.assertj.core.api.Assertions.assertThat;

import dev.javelin.device.DType;
import dev.javelin.kernels.Activation;
import dev.javelin.kernels.ElementwiseFunction;
import dev.javelin.kernels.VectorNorm;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Locale;
import java.util.regex.MatchResult;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;

/** What a kernel's source and its launch both say is the same. */
class SharedGeometryTest {
  private static String source(String file) {
    try {
      return Files.readString(Path.of("src/main/cuda").resolve(file));
    } catch (IOException e) {
      throw new AssertionError(e);
    }
  }

  /** What {@code pattern}'s groups match in a file, which must have it just once. */
  private static MatchResult find(String file, String pattern) {
    List<MatchResult> found = Pattern.compile(pattern).matcher(source(file)).results().toList();
    assertThat(found).as(file + ": " + pattern).hasSize(1);
    return found.getFirst();
  }

  private static int constant(String file, String name) {
    return Integer.parseInt(find(file, "\\b" + name + " = (\\d+)[,;]").group(1));
  }

  @Test
  void warps() {
    assertThat(RowGrid.WARP).isEqualTo(constant("row.cuh", "kWarp"));
    assertThat(PartialSumCuda.COLUMNS).isEqualTo(RowGrid.WARP);
    find("partial_sum.cu", "column = blockIdx\\.x \\* kWarp \\+ lane_index\\(\\)");
  }

  @Test
  void elementwise() {
    assertThat(ElementwiseCuda.MAX_OPERANDS).isEqualTo(constant("elementwise.cu", "kOperands"));
    assertThat(ElementwiseCuda.MAX_LOOPS).isEqualTo(constant("elementwise.cu", "kLoops"));
    find("elementwise.cu", "INSTANCE\\(%d, x%1$d\\)".formatted(ElementwiseCuda.UNIT));
  }

  @Test
  void dropoutUpdatesAndHead() {
    assertThat(DropoutCuda.WORDS).isEqualTo(constant("philox.cuh", "kWords"));
    assertThat(UpdateCuda.MAX_SEGMENTS).isEqualTo(constant("segments.cuh", "kMaxSegments"));
    assertThat(UpdateCuda.MAX_KEPT).isEqualTo(constant("update.cuh", "kMaxKept"));
    assertThat(UpdateCuda.CONSTANTS_BYTES).isEqualTo(constant("segments.cuh", "kConstantsBytes"));
    assertThat(LinearCrossEntropyCuda.UNIT).isEqualTo(constant("linear_cross_entropy.cu", "kUnit"));
  }

  /** Vectors of 16 bytes, so many for each lane of a warp. */
  @Test
  void norms() {
    int lane = 16 * RowGrid.WARP;
    assertThat(NormCuda.WARP_BYTES).isEqualTo(lane * constant("norm.cuh", "kKept"));
    MatchResult sums =
        find(
            "norm.cuh",
            "kNormSums = \\(kThreads == kWarp \\? (\\d+) : \\d+\\) / \\(kCentred \\? 2 :");
    assertThat(NormCuda.WARP_BYTES).isEqualTo(lane * Integer.parseInt(sums.group(1)));
  }

  @Test
  void matrixProducts() {
    for (String file : List.of("matmul.cu", "matmul_small.cu")) {
      MatchResult block = find(file, "BlockShape<(\\d+), (\\d+), ");
      int edge = file.equals("matmul.cu") ? MatmulPlan.BIG : MatmulPlan.SMALL;
      assertThat(List.of(block.group(1), block.group(2))).containsOnly(String.valueOf(edge));
    }
    find("matmul_simt.cu", "Big = SimtShape<%d, ".formatted(MatmulPlan.BIG));
    find("matmul_simt.cu", "Small = SimtShape<%d, ".formatted(MatmulPlan.SMALL));
    assertThat(MatmulPlan.STEP % constant("matmul_simt.cu", "kDeep")).isZero();
    assertThat(MatmulPlan.STEP % constant("matmul.cuh", "kDepth")).isZero();
    find("matmul_sum.cu", "%% in_row\\) \\* %d;".formatted(MatmulCuda.SUM_VECTOR));
    find("bias_gradient.cu", "blockIdx\\.x\\) \\* %d \\+ lane".formatted(MatmulCuda.BIAS_LANES));
  }

  @Test
  void matrixProductsOnHopper() {
    String file = "matmul_hopper.cuh";
    find(
        file,
        "kM = %d, kN = kN_, kK = %d,".formatted(MatmulHopperPlan.ROWS, MatmulHopperPlan.STEP));
    find(
        file,
        "kBoxBytes = %d \\* %d;".formatted(MatmulHopper.BOX_ROWS, MatmulHopper.SWIZZLE_BYTES));
    int boxes = Integer.parseInt(find(file, "kBoxes_ = (\\d+),").group(1));
    assertThat(MatmulHopper.RESULT_BYTES)
        .isEqualTo(MatmulHopperPlan.ROWS * boxes * MatmulHopper.SWIZZLE_BYTES);
    MatchResult block =
        find(file, "kStages = \\((\\d+) - (\\d+) - kWarpgroups \\* kBoxes \\* kBoxBytes\\) /");
    assertThat(MatmulHopper.BLOCK_BYTES)
        .isEqualTo(Integer.parseInt(block.group(1)) - Integer.parseInt(block.group(2)));
  }

  @Test
  void attentionHasTheInstancesThatAreAskedForAndNoOthers() {
    List<String> kernels = new ArrayList<>();
    String forward = source("attention_forward.cu");
    expand(kernels, forward, "FORWARD", "attention_forward");
    expand(kernels, forward, "DROPPED", "attention_forward_dropped");
    String backward = source("attention_backward.cu");
    expand(kernels, backward, "OF_QUERIES", "attention_backward_queries");
    expand(kernels, backward, "OF_KEYS", "attention_backward_keys");
    expand(kernels, backward, "OF_KEYS_APART", "attention_backward_keys");
    expand(kernels, backward, "OF_KEYS_APART", "attention_backward_values");
    expand(kernels, backward, "DROPPED_OF_QUERIES", "attention_backward_queries_dropped");
    expand(kernels, backward, "DROPPED_OF_KEYS", "attention_backward_keys_dropped");
    expand(kernels, backward, "DROPPED_OF_KEYS_APART", "attention_backward_keys_dropped");
    expand(kernels, backward, "DROPPED_OF_KEYS_APART", "attention_backward_values_dropped");
    assertThat(AttentionCuda.instances()).containsExactlyInAnyOrderElementsOf(kernels);
  }

  @Test
  void attentionOnHopper() {
    String file = "attention_forward_hopper.cu";
    MatchResult warpgroups = find(file, "kWarpgroups = kDim == 64 \\? (\\d+) : (\\d+),");
    find(file, "kRows = %d \\* kWarpgroups,".formatted(AttentionHopper.ROWS_OF_RESULTS));
    for (int i = 1; i <= 2; i++) {
      assertThat(AttentionHopper.rows(64 * i))
          .isEqualTo(AttentionHopper.ROWS_OF_RESULTS * Integer.parseInt(warpgroups.group(i)));
    }
    assertThat(constant(file, "kCols")).isEqualTo(AttentionHopper.KEYS);
    assertThat(constant(file, "kStages")).isEqualTo(AttentionHopper.STAGES);
    assertThat(constant(file, "kQueryStages")).isEqualTo(AttentionHopper.STAGES_OF_QUERIES);
    find(file, "first = w.row \\+ warpgroup \\* %d,".formatted(AttentionHopper.ROWS_OF_RESULTS));
    assertThat(
            Pattern.compile("(?m)^FORWARD_HOPPER\\((\\d+), \\w+, (\\w+)\\)")
                .matcher(source(file))
                .results()
                .map(m -> "attention_forward_hopper_d" + m.group(1) + "_" + m.group(2)))
        .containsExactlyElementsOf(AttentionHopper.instances());
  }

  @Test
  void attentionsGradientsOnHopper() {
    String file = "attention_backward_hopper.cuh";
    assertThat(constant(file, "kRows")).isEqualTo(AttentionBackwardHopper.ROWS);
    assertThat(constant(file, "kCols")).isEqualTo(AttentionBackwardHopper.COLUMNS);
    find(
        file,
        "to = w.row \\+ warpgroup \\* %d;".formatted(AttentionBackwardHopper.ROWS_OF_RESULTS));
    List<String> kernels = new ArrayList<>();
    Pattern.compile("(?m)^BACKWARD\\((\\d+), \\w+, (\\w+)\\)")
        .matcher(source("attention_backward_hopper.cu"))
        .results()
        .flatMap(
            m ->
                Stream.of("d", "dq_d")
                    .map(
                        kind ->
                            "attention_backward_hopper_" + kind + m.group(1) + "_" + m.group(2)))
        .forEach(kernels::add);
    assertThat(AttentionBackwardHopper.instances()).containsExactlyInAnyOrderElementsOf(kernels);
  }

  /** {@code KIND(64, 64, 32, float, f32)}, {@code KIND_HALVES(…)} and {@code HALVES(KIND, …)}. */
  private static void expand(List<String> to, String source, String kind, String name) {
    Matcher instance =
        Pattern.compile(
                "(?m)^(?:(?<halves>HALVES\\(%s, |%1$s_HALVES\\()|%1$s\\()(\\d+), (\\d+), (\\d+)"
                    .formatted(kind))
            .matcher(source);
    while (instance.find()) {
      boolean halves = instance.group("halves") != null;
      for (DType type : halves ? List.of(DType.BF16, DType.F16) : List.of(DType.F32)) {
        to.add(
            "%s_d%s_%sx%s_%s"
                .formatted(
                    name,
                    instance.group(2),
                    instance.group(3),
                    instance.group(4),
                    type.name().toLowerCase(Locale.ROOT)));
      }
    }
  }

  @Test
  void attentionsLanesAndPadding() {
    MatchResult lanes =
        find("attention_backward.cu", "kDeltaLanes = sizeof\\(T\\) == 4 \\? 1 : (\\d+);");
    assertThat(AttentionCuda.DELTA_LANES).isEqualTo(Integer.parseInt(lanes.group(1)));
    MatchResult padding = find("attention_product.cuh", "kExchangeStride = kCols \\+ (\\d+),");
    assertThat(AttentionCuda.EXCHANGE_PADDING).isEqualTo(Integer.parseInt(padding.group(1)));
  }

  /** Kernels know these by their ordinals. */
  @Test
  @SuppressWarnings("EnumOrdinal")
  void enumsHaveOneOrder() {
    sameOrder(Activation.values(), "activation.cuh", "enum Activation : int \\{ (.*) \\};");
    sameOrder(VectorNorm.values(), "global_norm.cu", "enum class Norm \\{ (.*) \\};");
    sameOrder(ElementwiseFunction.values(), "elementwise.cu", "enum Function : int \\{ (.*) \\};");
    DType[] floats = Arrays.stream(DType.values()).filter(DType::isFloat).toArray(DType[]::new);
    sameOrder(floats, "elementwise.cu", "enum Type : int \\{ (.*) \\};");
    for (int i = 0; i < floats.length; i++) {
      assertThat(floats[i].ordinal()).isEqualTo(i);
    }
  }

  private static void sameOrder(Enum<?>[] values, String file, String pattern) {
    List<String> names =
        Arrays.stream(find(file, pattern).group(1).split(", "))
            .map(n -> n.substring(1).toUpperCase(Locale.ROOT))
            .toList();
    assertThat(Arrays.stream(values).map(v -> v.name().replace("_", "")).toList()).isEqualTo(names);
  }
}
