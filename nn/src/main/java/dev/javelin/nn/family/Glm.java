package dev.javelin.nn.family;

import dev.javelin.nn.ConfigReader;
import dev.javelin.nn.Encoding;
import dev.javelin.nn.Family;
import dev.javelin.nn.NameTable;
import dev.javelin.nn.TransformerConfig;
import dev.javelin.nn.TransformerConfig.Biases;
import dev.javelin.nn.TransformerConfig.Builder;
import dev.javelin.tensor.op.Rotation.Pairing;
import java.util.Map;
import java.util.Set;
import org.jspecify.annotations.Nullable;

/**
 * GLM-4: Llama with packed gate/up, biases on q, k and v, and neighbours turned in half of a head.
 */
public record Glm() implements Family {
  private static final Rotary.Names NAMES =
      new Rotary.Names(null, "gate_up_proj", Rotary.Names.LLAMA.norms());

  @Override
  public String modelType() {
    return "glm";
  }

  @Override
  public String className() {
    return "GlmForCausalLM";
  }

  @Override
  public TransformerConfig read(ConfigReader json) {
    return read(json, this).build();
  }

  static Builder read(ConfigReader json, Family family) {
    boolean bias = json.flag("attention_bias", true);
    Rotary.Absent absent = Rotary.Absent.LLAMA.kvHeads(2).headDim(128).eps(1.5625e-7).share(0.5);
    Builder builder = Rotary.read(json, family, absent).biases(new Biases(bias, false, false));
    TransformerConfig c = builder.build();
    json.wideLayers(c.layers(), 0, i -> true);
    return c.encoding() instanceof Encoding.Rotary r
        ? builder.encoding(
            new Encoding.Rotary(r.rope(), null, Set.of(), r.share(), Pairing.NEIGHBOURS))
        : builder;
  }

  @Override
  public void write(TransformerConfig config, Map<String, @Nullable Object> json) {
    Rotary.write(config, json);
    json.put("attention_bias", config.biases().qkv());
  }

  @Override
  public NameTable names(TransformerConfig config) {
    return Rotary.names(config, NAMES);
  }
}
