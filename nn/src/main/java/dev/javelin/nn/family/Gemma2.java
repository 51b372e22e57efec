package dev.javelin.nn.family;

import dev.javelin.nn.ConfigReader;
import dev.javelin.nn.Family;
import dev.javelin.nn.NameTable;
import dev.javelin.nn.TransformerConfig;
import dev.javelin.nn.TransformerConfig.Biases;
import dev.javelin.nn.TransformerConfig.Entry;
import dev.javelin.nn.TransformerConfig.Form;
import dev.javelin.nn.TransformerConfig.Norm;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/**
 * Four norms in a block, whose weights are differences from 1; scaled embedding, caps of scores and
 * logits, a window in every other layer.
 */
public record Gemma2() implements Family {
  static final Rotary.Names NAMES =
      new Rotary.Names(
          null,
          null,
          Rotary.Names.norms(
              "norm1 input_layernorm after1 post_attention_layernorm"
                  + " norm2 pre_feedforward_layernorm after2 post_feedforward_layernorm"));

  private static final Rotary.Absent ABSENT =
      new Rotary.Absent(4, 256, 1e-6, true, 10_000, 0, 0, "hidden_activation");

  @Override
  public String modelType() {
    return "gemma2";
  }

  @Override
  public String className() {
    return "Gemma2ForCausalLM";
  }

  @Override
  public TransformerConfig read(ConfigReader json) {
    TransformerConfig c = read(json, this, ABSENT, 50, 30);
    return Rotary.windowed(
        json, c, json.integer("sliding_window", 1, Integer.MAX_VALUE, 4096), i -> i % 2 == 1);
  }

  /**
   * All but windows and rotary positions of a window's layers.
   *
   * @param scoreCap of attention, where the file does not mention it
   * @param logitCap likewise
   */
  static TransformerConfig read(
      ConfigReader json, Family family, Rotary.Absent absent, double scoreCap, double logitCap) {
    json.onlyIf("use_bidirectional_attention", false);
    json.ignore("hidden_act"); // a second name of hidden_activation, which alone counts
    boolean bias = json.flag("attention_bias", false);
    TransformerConfig c =
        Rotary.read(json, family, absent)
            .biases(new Biases(bias, bias, false))
            .form(Form.SANDWICH)
            .logitCap(cap(json, "final_logit_softcapping", logitCap))
            .build();
    double divisor = json.number("query_pre_attn_scalar", 256);
    double cap = cap(json, "attn_logit_softcapping", scoreCap);
    return c.with(
        b ->
            b.entry(new Entry(Math.sqrt(c.hidden()), false))
                .norm(new Norm(Norm.Kind.RMS, c.norm().eps(), 1))
                .attention(c.attention().scored(divisor, cap)));
  }

  private static double cap(ConfigReader json, String key, double absent) {
    return json.number(key, json.mentions(key) ? 0 : absent); // null means none
  }

  @Override
  public void write(TransformerConfig config, Map<String, @Nullable Object> json) {
    Rotary.write(config, json);
    json.put("hidden_activation", json.get("hidden_act"));
    json.remove("hidden_act");
    json.put("use_bidirectional_attention", false);
    json.put("attention_bias", config.biases().qkv());
    double divisor = config.attention().divisor();
    json.put(
        "query_pre_attn_scalar", divisor == Math.rint(divisor) ? (Object) (long) divisor : divisor);
    double cap = config.attention().scoreCap();
    json.put("attn_logit_softcapping", cap == 0 ? null : cap);
    json.put("final_logit_softcapping", config.logitCap() == 0 ? null : config.logitCap());
    json.put("sliding_window", Math.max(1, config.attention().window()));
    Rotary.writeLayerTypes(config, json);
  }

  @Override
  public NameTable names(TransformerConfig config) {
    return Rotary.names(config, NAMES);
  }
}
