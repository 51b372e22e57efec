package dev.javelin.train.gguf;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import dev.javelin.device.Cpu;
import dev.javelin.nn.Grouping;
import dev.javelin.nn.Precision;
import dev.javelin.nn.RopeConfig;
import dev.javelin.nn.TransformerConfig;
import dev.javelin.nn.family.Gpt2;
import dev.javelin.nn.family.Llama;
import dev.javelin.nn.family.Mistral;
import dev.javelin.nn.family.Qwen2;
import dev.javelin.nn.family.Qwen3;
import dev.javelin.tensor.io.Safetensors;
import dev.javelin.train.LanguageModel;
import dev.javelin.train.data.InputException;
import dev.javelin.train.tokenizer.BpeTrainer;
import dev.javelin.train.tokenizer.ByteTokenizer;
import dev.javelin.train.tokenizer.Tokenizer;
import java.io.IOException;
import java.lang.foreign.ValueLayout;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import org.junit.jupiter.api.Assumptions;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.EnumSource;

class GgufExportTest {
  private static final int HIDDEN = 32;
  private static final int HEAD_DIM = 8;
  private static final Path STORIES = Path.of("../../shared/models/stories260K");

  @TempDir Path directory;

  private static TransformerConfig config(String family, int vocab) {
    TransformerConfig llama = Llama.config(vocab, 2, 4, 2, HIDDEN, 64, 16);
    TransformerConfig.Attention attention = llama.attention();
    return switch (family) {
      case "qwen2" ->
          llama.with(
              b -> b.family(new Qwen2()).biases(new TransformerConfig.Biases(true, false, false)));
      case "qwen3" ->
          llama.with(
              b ->
                  b.family(new Qwen3())
                      .tied(false)
                      .attention(
                          new TransformerConfig.Attention(4, 2, attention.headDim(), 0, true)));
      case "gpt2" -> Gpt2.config(vocab, 2, 4, HIDDEN, 16);
      default -> llama;
    };
  }

  private static Tokenizer tokenizer() {
    return new ByteTokenizer();
  }

  /** What transformers reads from the directory, and an independent reader from the GGUF file. */
  @ParameterizedTest
  @CsvSource({"llama", "qwen2", "qwen3", "gpt2"})
  void holdsEveryTensorOfTheDirectory(String family) throws IOException {
    Tokenizer tokenizer = tokenizer();
    try (Cpu cpu = Cpu.open();
        LanguageModel model =
            LanguageModel.create(
                cpu,
                config(family, tokenizer.vocabSize() + 2),
                Precision.FP32,
                Grouping.frozen(),
                5,
                tokenizer)) {
      model.save(directory);
      Path file = directory.resolve("model.gguf");
      assertThat(GgufExport.write(model, "tiny", GgufType.F32, file)).isEmpty();
      GgufReader gguf = new GgufReader(file);
      try (Safetensors weights = Safetensors.open(directory.resolve("model.safetensors"))) {
        assertThat(gguf.tensors).hasSize(weights.entries().size());
        for (String name : weights.entries().keySet()) {
          compare(name, weights.get(name), gguf, family);
        }
      }
      assertThat(gguf.keys)
          .containsEntry("general.architecture", family)
          .containsEntry(family + ".block_count", 2)
          .containsEntry(family + ".attention.head_count", 4)
          .containsEntry(family + ".embedding_length", HIDDEN);
      List<?> tokens = gguf.list("tokenizer.ggml.tokens");
      assertThat(tokens.size()).isEqualTo(tokenizer.vocabSize() + 2);
      assertThat(tokens.getLast()).isEqualTo("[PAD" + (tokenizer.vocabSize() + 1) + "]");
    }
  }

  private static void compare(
      String name, Safetensors.Entry entry, GgufReader gguf, String family) {
    GgufReader.Tensor found = gguf.tensor(inGguf(name));
    float[] ours = entry.data().toArray(ValueLayout.JAVA_FLOAT_UNALIGNED);
    boolean conv1d = family.equals("gpt2") && name.matches(".*(c_attn|c_proj|c_fc)\\.weight");
    boolean turned = family.equals("llama") && name.matches(".*(q_proj|k_proj)\\..*");
    int cols = ours.length / (int) found.dims()[0];
    for (int i = 0; i < ours.length; i++) {
      int row = i / cols;
      int col = i % cols;
      int from = i;
      if (conv1d) {
        from = col * (int) found.dims()[0] + row; // [in, out] in the directory
      } else if (turned) { // reshape(heads, 2, D/2).swapaxes(1, 2), as conversions to GGUF do
        int head = row / HEAD_DIM;
        int in = row % HEAD_DIM;
        from = (head * HEAD_DIM + in % 2 * (HEAD_DIM / 2) + in / 2) * cols + col;
      }
      assertThat(found.values()[i]).as("%s[%d]", name, i).isEqualTo(ours[from]);
    }
  }

  private static String inGguf(String name) {
    return name.replaceAll("^(model\\.layers|transformer\\.h)\\.", "blk.")
        .replaceAll("^(model\\.embed_tokens|transformer\\.wte)\\.", "token_embd.")
        .replaceAll("^transformer\\.wpe\\.", "position_embd.")
        .replaceAll("^(model\\.norm|transformer\\.ln_f)\\.", "output_norm.")
        .replaceAll("^lm_head\\.", "output.")
        .replace(".input_layernorm.", ".attn_norm.")
        .replace(".post_attention_layernorm.", ".ffn_norm.")
        .replaceAll("\\.self_attn\\.([qkv])_proj\\.", ".attn_$1.")
        .replaceAll("\\.self_attn\\.([qk])_norm\\.", ".attn_$1_norm.")
        .replace(".self_attn.o_proj.", ".attn_output.")
        .replaceAll("\\.mlp\\.(gate|up|down)_proj\\.", ".ffn_$1.")
        .replace(".ln_1.", ".attn_norm.")
        .replace(".ln_2.", ".ffn_norm.")
        .replace(".attn.c_attn.", ".attn_qkv.")
        .replace(".attn.c_proj.", ".attn_output.")
        .replace(".mlp.c_fc.", ".ffn_up.")
        .replace(".mlp.c_proj.", ".ffn_down.");
  }

  @ParameterizedTest
  @EnumSource(GgufType.class)
  void roundsEachNumberAsItsTypeDoes(GgufType type) throws IOException {
    try (Cpu cpu = Cpu.open();
        LanguageModel model =
            LanguageModel.create(
                cpu, config("llama", 300), Precision.FP32, Grouping.frozen(), 5, tokenizer())) {
      Path exact = directory.resolve("exact.gguf");
      Path file = directory.resolve("model.gguf");
      GgufExport.write(model, "tiny", GgufType.F32, exact);
      assertThat(GgufExport.write(model, "tiny", type, file)).isEmpty();
      GgufReader expected = new GgufReader(exact);
      GgufReader gguf = new GgufReader(file);
      gguf.tensors.forEach(
          (name, t) -> {
            float[] x = expected.tensor(name).values();
            boolean vector = t.dims().length == 1;
            assertThat(t.type()).isEqualTo(vector ? 0 : type.code);
            for (int i = 0; i < x.length; i++) {
              float most = 0;
              for (int j = i / 32 * 32; j < Math.min(x.length, i / 32 * 32 + 32); j++) {
                most = Math.max(most, Math.abs(x[j]));
              }
              double bound =
                  vector
                      ? 0
                      : switch (type) {
                        case F32 -> 0;
                        case F16 -> Math.abs(x[i]) / 2048 + 0x1p-25;
                        case BF16 -> Math.abs(x[i]) / 256;
                        case Q8_0 -> most / 254 * 1.002 + most / 2048; // half a step; fp16 scale
                      };
              assertThat(t.values()[i])
                  .as("%s[%d]", name, i)
                  .isCloseTo(x[i], within((float) bound));
            }
          });
      assertThat(gguf.keys).containsEntry("general.file_type", type.fileType);
    }
  }

  @Test
  void saysScalingAndMergesOfABytePairVocabulary() throws IOException {
    Tokenizer bpe =
        BpeTrainer.train(List.of("the cat and the hat and the bat").stream(), 262, List.of());
    RopeConfig rope = new RopeConfig(500_000, new RopeConfig.Llama3(8, 1, 4, 8));
    try (Cpu cpu = Cpu.open();
        LanguageModel model =
            LanguageModel.create(
                cpu,
                config("llama", bpe.vocabSize()).with(b -> b.rope(rope)),
                Precision.FP32,
                Grouping.frozen(),
                5,
                bpe)) {
      Path file = directory.resolve("model.gguf");
      GgufExport.write(model, "tiny", GgufType.F16, file);
      GgufReader gguf = new GgufReader(file);
      assertThat(gguf.keys).containsEntry("tokenizer.ggml.model", "gpt2");
      assertThat(gguf.list("tokenizer.ggml.merges"))
          .hasSize(bpe.vocabSize() - 256 - bpe.specialTokens().size());
      float[] factors = gguf.tensor("rope_freqs.weight").values();
      assertThat(factors).hasSize(HEAD_DIM / 2);
      assertThat(factors[0]).isBetween(1f, 8f);
      assertThat(factors[HEAD_DIM / 2 - 1]).isCloseTo(8f, within(1e-5f)); // the slowest pair
    }
  }

  @Test
  void scoresTheMergesOfATokenizerWithBytesToFallBackOn() throws IOException {
    Assumptions.assumeTrue(Files.exists(STORIES), "no reference files: " + STORIES);
    try (Cpu cpu = Cpu.open();
        LanguageModel model = LanguageModel.load(cpu, STORIES)) {
      Path file = directory.resolve("model.gguf");
      GgufExport.write(model, "stories", GgufType.Q8_0, file);
      GgufReader gguf = new GgufReader(file);
      assertThat(gguf.keys)
          .containsEntry("tokenizer.ggml.model", "llama")
          .containsEntry("tokenizer.ggml.bos_token_id", 1)
          .containsEntry("tokenizer.ggml.eos_token_id", 2)
          .containsEntry("tokenizer.ggml.add_bos_token", true);
      List<?> tokens = gguf.list("tokenizer.ggml.tokens");
      List<?> scores = gguf.list("tokenizer.ggml.scores");
      List<?> types = gguf.list("tokenizer.ggml.token_type");
      assertThat(types.subList(0, 4)).asList().containsExactly(2, 3, 3, 6);
      assertThat(tokens.get(259)).isEqualTo("▁t"); // the first merge
      assertThat(scores.get(259)).isEqualTo(0f);
      assertThat((Float) scores.get(300)).isLessThan((Float) scores.get(260));
    }
  }

  @Test
  void refusesWhatItCannotSay() {
    try (Cpu cpu = Cpu.open();
        LanguageModel windowed =
            LanguageModel.create(
                cpu,
                config("llama", 300)
                    .with(
                        b ->
                            b.family(new Mistral())
                                .attention(new TransformerConfig.Attention(4, 2, 8, 4, false))),
                Precision.FP32,
                Grouping.frozen(),
                5,
                tokenizer());
        LanguageModel biased =
            LanguageModel.create(
                cpu,
                config("llama", 300)
                    .with(b -> b.biases(new TransformerConfig.Biases(true, true, false))),
                Precision.FP32,
                Grouping.frozen(),
                5,
                tokenizer());
        LanguageModel small =
            LanguageModel.create(
                cpu, config("llama", 30), Precision.FP32, Grouping.frozen(), 5, tokenizer())) {
      Path file = directory.resolve("model.gguf");
      assertThatThrownBy(() -> GgufExport.write(windowed, "tiny", GgufType.F16, file))
          .isInstanceOf(InputException.class)
          .hasMessageContaining("sliding window");
      assertThatThrownBy(() -> GgufExport.write(biased, "tiny", GgufType.F16, file))
          .isInstanceOf(InputException.class)
          .hasMessageContaining("biases");
      assertThatThrownBy(() -> GgufExport.write(small, "tiny", GgufType.F16, file))
          .isInstanceOf(InputException.class)
          .hasMessageContaining("do not belong together");
      assertThat(file).doesNotExist();
    }
  }
}
