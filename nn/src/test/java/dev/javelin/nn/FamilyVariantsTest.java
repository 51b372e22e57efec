package dev.javelin.nn;

import static dev.javelin.nn.ModelCase.assertClose;
import static dev.javelin.nn.ModelCase.floats;
import static org.assertj.core.api.Assertions.assertThat;

import dev.javelin.autograd.Tape;
import dev.javelin.device.Cpu;
import dev.javelin.device.DType;
import dev.javelin.device.Device;
import dev.javelin.device.RequiresCuda;
import dev.javelin.device.TestCuda;
import dev.javelin.kernels.BundledKernels;
import dev.javelin.nn.family.Llama;
import dev.javelin.tensor.Shape;
import dev.javelin.tensor.Tensor;
import dev.javelin.tensor.io.AtomicFile;
import dev.javelin.tensor.io.Safetensors;
import dev.javelin.tensor.op.AttentionMask;
import dev.javelin.tensor.step.Workspace;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.FieldSource;
import org.junit.jupiter.params.provider.ValueSource;

/** Options of families beyond those of {@link GoldenFamilyTest}. */
class FamilyVariantsTest {
  static final List<String> NAMES =
      List.of(
          "bloom-6heads",
          "falcon-11b",
          "falcon-rw",
          "gemma2-big",
          "gemma3-full",
          "glm4-wide",
          "gpt2-gelu",
          "gpt2-relu",
          "llama-biases",
          "mistral-window",
          "neox-sequential",
          "olmo2-yarn",
          "phi3-longrope",
          "phi3-partial",
          "qwen2-windows",
          "qwen3-types",
          "smollm3-list",
          "smollm3-window");

  @TempDir Path dir;

  private static Path golden(String name) {
    return Path.of("src/test/resources/golden/variants", name);
  }

  @ParameterizedTest
  @FieldSource("NAMES")
  void logitsAreThoseOfTransformers(String name) {
    try (Cpu cpu = Cpu.open(2)) {
      assertLogits(cpu, golden(name), golden(name));
    }
  }

  @RequiresCuda
  @ParameterizedTest
  @FieldSource("NAMES")
  void logitsAreThoseOfTransformersOnCuda(String name) {
    try (Device cuda = TestCuda.open(new BundledKernels())) {
      assertLogits(cuda, golden(name), golden(name));
    }
  }

  @ParameterizedTest
  @FieldSource("NAMES")
  void whatIsWrittenIsTheSameModel(String name) {
    TransformerConfig config = TransformerConfig.read(golden(name));
    try (Cpu cpu = Cpu.open(2)) {
      try (var buffer =
          HuggingFace.load(cpu, config, Precision.FP32, Grouping.frozen(), golden(name))) {
        HuggingFace.save(buffer, dir);
      }
      assertThat(TransformerConfig.read(dir)).isEqualTo(config);
      assertLogits(cpu, dir, golden(name));
    }
  }

  private static void assertLogits(Device device, Path directory, Path reference) {
    TransformerConfig config = TransformerConfig.read(directory);
    try (Workspace workspace = Workspace.on(device);
        var buffer =
            HuggingFace.load(device, config, Precision.FP32, Grouping.frozen(), directory);
        Safetensors ref = Safetensors.open(reference.resolve("reference.safetensors"))) {
      Tensor ids = workspace.alloc(DType.I32, ref.get("input_ids").shape());
      ids.fromHost(MemorySegment.ofArray(ModelCase.integers(ref.get("input_ids"))));
      double[] got = floats(buffer.model().forward(Tape.inference(workspace), ids).value());
      assertClose("logits", got, floats(ref.get("logits")), 1e-5);
    }
  }

  /** The recursion that the paper's authors published. */
  @ParameterizedTest
  @ValueSource(ints = {1, 2, 4, 6, 8, 12, 16, 40, 71, 112})
  void slopesAreThoseOfThePaperForAnyNumberOfHeads(int heads) {
    double[] expected = slopes(heads);
    float[] got = AttentionMask.alibiSlopes(heads);
    assertThat(got).hasSize(heads);
    for (int h = 0; h < heads; h++) {
      assertThat(got[h]).isEqualTo((float) expected[h]);
    }
  }

  private static double[] slopes(int n) {
    if (Integer.bitCount(n) == 1) {
      double start = Math.pow(2, -Math.pow(2, -(Math.log(n) / Math.log(2) - 3)));
      double[] s = new double[n];
      for (int i = 0; i < n; i++) {
        s[i] = (float) Math.pow(start, i + 1);
      }
      return s;
    }
    int power = Integer.highestOneBit(n);
    double[] s = Arrays.copyOf(slopes(power), n);
    double[] more = slopes(2 * power);
    for (int i = power; i < n; i++) {
      s[i] = more[2 * (i - power)];
    }
    return s;
  }

  /**
   * Baichuan's 7B form and Aquila compute what Llama computes; the 13B form is lowered by ALiBi.
   */
  @Test
  void baichuanAndAquilaAreLlamaUnderOtherNames() {
    TransformerConfig llama = Llama.config(31, 2, 6, 6, 24, 40, 32).with(b -> b.tied(false));
    float[] expected = logits(llama);
    for (String family : List.of("baichuan", "aquila")) {
      TransformerConfig other = llama.with(b -> b.family(Families.named(family)));
      assertThat(logits(other)).isEqualTo(expected);
    }
    TransformerConfig alibi =
        llama.with(b -> b.family(Families.named("baichuan")).encoding(new Encoding.Alibi(false)));
    assertThat(logits(alibi)).isNotEqualTo(expected);
  }

  /** Of a model that was written and read again. */
  private float[] logits(TransformerConfig config) {
    try (Cpu cpu = Cpu.open(2);
        Workspace workspace = Workspace.on(cpu);
        var drawn = Transformer.allocate(cpu, config, Precision.FP32, Grouping.frozen())) {
      Init.normal(drawn, 5);
      HuggingFace.save(drawn, dir);
      TransformerConfig read = TransformerConfig.read(dir);
      assertThat(read).isEqualTo(config);
      boolean packed = config.family().modelType().equals("baichuan");
      try (Safetensors file = Safetensors.open(dir.resolve("model.safetensors"))) {
        assertThat(file.entries().containsKey("model.layers.1.self_attn.W_pack.weight"))
            .isEqualTo(packed);
      }
      try (var buffer = HuggingFace.load(cpu, read, Precision.FP32, Grouping.frozen(), dir)) {
        Tensor ids = workspace.alloc(DType.I32, Shape.of(1, 9));
        ids.fromHost(MemorySegment.ofArray(new int[] {3, 1, 4, 1, 5, 9, 2, 6, 5}));
        return buffer
            .model()
            .forward(Tape.inference(workspace), ids)
            .value()
            .toHost()
            .toArray(ValueLayout.JAVA_FLOAT);
      }
    }
  }

  /** Keys as transformers 4 wrote them, or as files were published before it knew the family. */
  @ParameterizedTest
  @ValueSource(
      strings = {
        "model_type = bloom, n_embed = 64, n_layer = 2, num_attention_heads = 8, vocab_size = 96, seq_length = 2048,"
            + " offset_alibi = 100, skip_bias_add = true, masked_softmax_fusion = true, attention_softmax_in_fp32 = true",
        "model_type = falcon, hidden_size = 64, num_hidden_layers = 2, num_attention_heads = 4, vocab_size = 96,"
            + " multi_query = true, parallel_attn = true, alibi = false, bias = false, hidden_dropout = 0.0",
        "model_type = gpt_neox, hidden_size = 64, num_hidden_layers = 2, num_attention_heads = 4, vocab_size = 96,"
            + " intermediate_size = 256, max_position_embeddings = 64, rotary_pct = 0.5, rotary_emb_base = 5000",
        "model_type = phi3, hidden_size = 32, num_hidden_layers = 2, num_attention_heads = 4, vocab_size = 96,"
            + " num_key_value_heads = 2, intermediate_size = 64, max_position_embeddings = 64,"
            + " original_max_position_embeddings = 16, rope_theta = 9000.0, sliding_window = 7,"
            + " rope_scaling = {'type': 'su', 'short_factor': [1, 1, 1, 1], 'long_factor': [1, 2, 3, 4]}",
        "model_type = gemma2, hidden_size = 64, num_hidden_layers = 3, num_attention_heads = 4, vocab_size = 96,"
            + " num_key_value_heads = 2, intermediate_size = 64, max_position_embeddings = 64, rope_theta = 10000.0,"
            + " hidden_act = 'gelu_pytorch_tanh', cache_implementation = 'hybrid', query_pre_attn_scalar = 144",
        "model_type = gemma3_text, hidden_size = 64, num_hidden_layers = 7, num_attention_heads = 4, vocab_size = 96,"
            + " num_key_value_heads = 2, intermediate_size = 64, max_position_embeddings = 64, rope_theta = 1000000,"
            + " rope_local_base_freq = 10000, sliding_window = 5, sliding_window_pattern = 6,"
            + " rope_scaling = {'factor': 8.0, 'rope_type': 'linear'}",
        "model_type = smollm3, hidden_size = 64, num_hidden_layers = 5, num_attention_heads = 4, vocab_size = 96,"
            + " num_key_value_heads = 2, intermediate_size = 64, max_position_embeddings = 64, rope_theta = 5000000.0",
        "model_type = glm, hidden_size = 64, num_hidden_layers = 2, num_attention_heads = 4, vocab_size = 96,"
            + " intermediate_size = 64, max_position_embeddings = 64, head_dim = 16, partial_rotary_factor = 0.5",
        "model_type = baichuan, hidden_size = 64, num_hidden_layers = 2, num_attention_heads = 4, vocab_size = 96,"
            + " intermediate_size = 64, model_max_length = 64",
      })
  void readsOlderKeysAndWritesThemBackInBothForms(String pairs) {
    String json =
        ("{" + pairs.replaceAll("(^|, )(\\w+) = ", "$1\"$2\": ") + "}")
            .replaceAll("\"model_type\": (\\w+)", "\"model_type\": \"$1\"")
            .replace('\'', '"');
    AtomicFile.write(dir.resolve("config.json"), json);
    TransformerConfig c = TransformerConfig.read(dir);
    assertOlder(c);
    c.write(dir, DType.F32);
    assertThat(TransformerConfig.read(dir)).isEqualTo(c);
  }

  private static void assertOlder(TransformerConfig c) {
    switch (c.family().modelType()) {
      case "bloom" -> {
        assertThat(List.of(c.hidden(), c.heads(), c.layers())).containsExactly(64, 8, 2);
        assertThat(c.encoding()).isEqualTo(new Encoding.Alibi(false));
        assertThat(c.entry().norm()).isTrue();
      }
      case "falcon" -> {
        assertThat(List.of(c.kvHeads(), c.ffn(), c.positions())).containsExactly(1, 256, 2048);
        assertThat(c.form()).isEqualTo(TransformerConfig.Form.PARALLEL_ONE_NORM);
      }
      case "gpt_neox" -> {
        assertThat(c.rope()).isEqualTo(RopeConfig.of(5000));
        assertThat(c.encoding()).matches(e -> e instanceof Encoding.Rotary r && r.share() == 0.5);
      }
      case "phi3" -> {
        double attention = Math.sqrt(1 + Math.log(4) / Math.log(16));
        assertThat(c.rope())
            .isEqualTo(
                new RopeConfig(
                    9000,
                    new RopeConfig.LongRope(
                        List.of(1., 1., 1., 1.), List.of(1., 2., 3., 4.), attention, 16)));
        assertThat(List.of(c.window(0), c.window(1))).containsExactly(7, 7);
      }
      case "gemma2" -> {
        assertThat(List.of(c.window(0), c.window(1), c.window(2))).containsExactly(4096, 0, 4096);
        assertThat(List.of(c.attention().divisor(), c.attention().scoreCap(), c.logitCap()))
            .containsExactly(144., 50., 30.);
        assertThat(c.headDim()).isEqualTo(256);
        assertThat(c.entry().scale()).isEqualTo(8);
      }
      case "gemma3_text" -> {
        RopeConfig linear = new RopeConfig(1e6, new RopeConfig.Linear(8));
        assertThat(List.of(c.window(4), c.window(5), c.window(6))).containsExactly(5, 0, 5);
        assertThat(c.rope(4)).isEqualTo(RopeConfig.of(10_000));
        assertThat(c.rope(5)).isEqualTo(linear);
        assertThat(c.logitCap()).isZero();
      }
      case "smollm3" -> {
        assertThat(c.rope(3)).isNull();
        assertThat(c.rope(4)).isEqualTo(RopeConfig.of(5e6));
      }
      case "glm" ->
          assertThat(c.biases()).isEqualTo(new TransformerConfig.Biases(true, false, false));
      case "baichuan" -> assertThat(c.encoding()).isEqualTo(new Encoding.Alibi(false));
      default -> throw new AssertionError(c.family());
    }
  }
}
