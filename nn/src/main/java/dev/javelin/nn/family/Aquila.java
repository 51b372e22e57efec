package dev.javelin.nn.family;

import dev.javelin.nn.ConfigReader;
import dev.javelin.nn.Family;
import dev.javelin.nn.NameTable;
import dev.javelin.nn.TransformerConfig;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/** Llama under another name. */
public record Aquila() implements Family {
  @Override
  public String modelType() {
    return "aquila";
  }

  @Override
  public String className() {
    return "AquilaForCausalLM";
  }

  @Override
  public TransformerConfig read(ConfigReader json) {
    return new Llama().read(json).with(b -> b.family(this));
  }

  @Override
  public void write(TransformerConfig config, Map<String, @Nullable Object> json) {
    new Llama().write(config, json);
  }

  @Override
  public NameTable names(TransformerConfig config) {
    return Rotary.names(config);
  }
}
