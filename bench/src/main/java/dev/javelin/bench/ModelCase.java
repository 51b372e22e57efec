package dev.javelin.bench;

import dev.javelin.nn.TransformerConfig;
import dev.javelin.nn.family.Gpt2;
import dev.javelin.nn.family.Llama;
import java.util.List;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * A model and its batch, written {@code gpt2-124m-32x1024}: sequences, and tokens of each. The
 * names are the PyTorch peer's; without a batch it is 12x64 for those that end in {@code -cpu},
 * else 16x256.
 */
record ModelCase(Model model, int batch, int length) {
  private static final Pattern WITH_BATCH = Pattern.compile("(.+)-(\\d+)x(\\d+)");

  /** A Llama with tied head and rotary positions, or a GPT-2, which has {@code ffn = 4·width}. */
  record Model(
      String name, int layers, int heads, int kvHeads, int width, int ffn, int vocabulary) {
    boolean isGpt2() {
      return !name.startsWith("llama");
    }

    /** Weights without the table of positions. */
    long parameters() {
      long qkv = (long) width * (width + 2 * keyWidth());
      long mlp = (isGpt2() ? 2L : 3L) * width * ffn;
      long biases = isGpt2() ? width + 2L * keyWidth() + width + ffn + width : 0;
      long norms = isGpt2() ? 2L * width : width;
      long block = qkv + (long) width * width + mlp + biases + 2 * norms;
      return (long) vocabulary * width + layers * block + norms;
    }

    int keyWidth() {
      return width / heads * kvHeads;
    }
  }

  private static final List<Model> MODELS =
      List.of(
          new Model("gpt2-tiny", 2, 2, 2, 32, 128, 65),
          new Model("llama-tiny", 2, 2, 1, 64, 96, 65),
          new Model("llama-small", 4, 4, 4, 192, 512, 1024),
          new Model("shakespeare-cpu", 4, 4, 4, 128, 512, 65),
          new Model("shakespeare", 6, 6, 6, 384, 1536, 65),
          new Model("llama-shakespeare-cpu", 4, 4, 4, 128, 352, 65),
          new Model("llama-shakespeare", 6, 6, 6, 384, 1024, 65),
          new Model("gpt2-124m", 12, 12, 12, 768, 3072, 50304),
          new Model("llama-124m", 12, 12, 12, 768, 2048, 50304),
          new Model("llama-350m", 24, 16, 16, 1024, 2816, 32000),
          new Model("llama-1b", 22, 32, 4, 2048, 5632, 32000));

  static ModelCase parse(String name) {
    Matcher m = WITH_BATCH.matcher(name);
    if (m.matches()) {
      return new ModelCase(
          model(m.group(1)), Integer.parseInt(m.group(2)), Integer.parseInt(m.group(3)));
    }
    boolean small = name.endsWith("-cpu");
    return new ModelCase(model(name), small ? 12 : 16, small ? 64 : 256);
  }

  /** Of so many layers, as small as can be: has the launches of a large one's step. */
  static ModelCase tiny(boolean gpt2, int layers) {
    return new ModelCase(
        gpt2
            ? new Model("gpt2-tiny", layers, 2, 2, 32, 128, 65)
            : new Model("llama-tiny", layers, 2, 1, 64, 96, 65),
        2,
        16);
  }

  private static Model model(String name) {
    return MODELS.stream()
        .filter(m -> m.name.equals(name))
        .findFirst()
        .orElseThrow(() -> new IllegalArgumentException("no such model: " + name));
  }

  TransformerConfig config() {
    Model m = model;
    return m.isGpt2()
        ? Gpt2.config(m.vocabulary, m.layers, m.heads, m.width, length)
        : Llama.config(m.vocabulary, m.layers, m.heads, m.kvHeads, m.width, m.ffn, length);
  }

  int tokens() {
    return batch * length;
  }

  /** As in PaLM's appendix B, the whole square of the attention's scores counted. */
  double flopsPerToken() {
    return 6.0 * model.parameters() + 12.0 * model.layers * model.width * length;
  }
}
