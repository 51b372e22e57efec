package dev.javelin.cli;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** What {@code javelin estimate} says of a model that is far too large for this machine. */
class EstimateCommandTest {
  @TempDir Path temp;

  /** The sizes of Llama 2 7B; there are no weights. */
  private Path sevenBillion() throws IOException {
    Files.writeString(
        temp.resolve("config.json"),
        """
        {"model_type": "llama", "architectures": ["LlamaForCausalLM"], "hidden_size": 4096,
         "intermediate_size": 11008, "num_hidden_layers": 32, "num_attention_heads": 32,
         "num_key_value_heads": 32, "vocab_size": 32000, "max_position_embeddings": 4096,
         "rms_norm_eps": 1e-05, "rope_theta": 10000.0, "hidden_act": "silu",
         "tie_word_embeddings": false}
        """);
    return temp;
  }

  private static String estimate(String... arguments) {
    PrintStream before = System.out;
    ByteArrayOutputStream out = new ByteArrayOutputStream();
    System.setOut(new PrintStream(out, true, StandardCharsets.UTF_8));
    try {
      assertThat(Main.run(arguments)).isZero();
    } finally {
      System.setOut(before);
    }
    return out.toString(StandardCharsets.UTF_8);
  }

  @Test
  void sevenBillionParametersAreEstimatedWithoutThem() throws IOException {
    String text =
        estimate(
            "estimate",
            "--no-time",
            "--device",
            "cpu",
            "--model",
            sevenBillion().toString(),
            "--precision",
            "bf16",
            "--batch-size",
            "1",
            "--seq-len",
            "512",
            "--memory",
            "24GB");
    // 6,738,415,616 parameters: 2 bytes, 4 bytes, 4 bytes and 8 bytes each
    assertThat(text)
        .containsPattern("weights +13\\.48 GB")
        .containsPattern("gradients +26\\.95 GB")
        .containsPattern("masters \\(fp32\\) +26\\.95 GB")
        .containsPattern("optimizer state +53\\.91 GB")
        .contains("it does not fit", "no batch fits");
    String adapters =
        estimate(
            "estimate",
            "--no-time",
            "--device",
            "cpu",
            "--model",
            sevenBillion().toString(),
            "--precision",
            "bf16",
            "--batch-size",
            "1",
            "--seq-len",
            "512",
            "--memory",
            "24GB",
            "--lora",
            "8",
            "--quantize",
            "nf4",
            "--recompute");
    assertThat(adapters)
        .containsPattern(
            "weights +[34],\\d{3}\\.\\d MB") // half a byte each, embedding and head in bf16
        .contains("it fits", "the largest --batch-size that fits is ");
  }
}
