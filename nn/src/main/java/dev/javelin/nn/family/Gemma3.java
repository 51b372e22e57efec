package dev.javelin.nn.family;

import dev.javelin.nn.ConfigReader;
import dev.javelin.nn.Family;
import dev.javelin.nn.NameTable;
import dev.javelin.nn.TransformerConfig;
import dev.javelin.nn.TransformerConfig.QkNorm;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/** {@link Gemma2} with norms of q and k and two rotary bases, without caps; text only. */
public record Gemma3() implements Family {
  private static final Rotary.Absent ABSENT =
      new Rotary.Absent(4, 256, 1e-6, true, 1_000_000, 0, 10_000, "hidden_activation");

  @Override
  public String modelType() {
    return "gemma3_text";
  }

  @Override
  public String className() {
    return "Gemma3ForCausalLM";
  }

  @Override
  public TransformerConfig read(ConfigReader json) {
    TransformerConfig c = Gemma2.read(json, this, ABSENT, 0, 0);
    int pattern = json.integer("sliding_window_pattern", 1, Integer.MAX_VALUE, 6);
    int window = json.integer("sliding_window", 1, Integer.MAX_VALUE, 4096);
    return Rotary.windowed(
        json,
        c.with(b -> b.attention(c.attention().normed(QkNorm.HEADS))),
        window,
        i -> (i + 1) % pattern == 0);
  }

  @Override
  public void write(TransformerConfig config, Map<String, @Nullable Object> json) {
    new Gemma2().write(config, json);
    int full = 0;
    while (full < config.layers() && config.window(full) > 0) {
      full++;
    }
    json.put("sliding_window_pattern", full == config.layers() ? Math.max(6, full + 1) : full + 1);
  }

  @Override
  public NameTable names(TransformerConfig config) {
    return Rotary.names(config, Gemma2.NAMES);
  }
}
