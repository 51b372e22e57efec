package dev.javelin.nn.family;

import dev.javelin.nn.ConfigReader;
import dev.javelin.nn.Encoding;
import dev.javelin.nn.Family;
import dev.javelin.nn.NameTable;
import dev.javelin.nn.TransformerConfig;
import dev.javelin.nn.TransformerConfig.Biases;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.stream.IntStream;
import org.jspecify.annotations.Nullable;

/** Llama with layers that turn nothing. */
public record SmolLm3() implements Family {
  @Override
  public String modelType() {
    return "smollm3";
  }

  @Override
  public String className() {
    return "SmolLM3ForCausalLM";
  }

  @Override
  public TransformerConfig read(ConfigReader json) {
    boolean bias = json.flag("attention_bias", false);
    TransformerConfig c =
        Rotary.read(json, this, Rotary.Absent.LLAMA.kvHeads(4).tied(true).theta(2_000_000))
            .biases(new Biases(bias, bias, json.flag("mlp_bias", false)))
            .build();
    Set<Integer> still = still(json, c.layers());
    boolean used = json.flag("use_sliding_window", false);
    int window = json.integer("sliding_window", 1, Integer.MAX_VALUE, 0);
    return Rotary.windowed(
        json,
        c.encoding() instanceof Encoding.Rotary r ? c.with(b -> b.encoding(r.stillIn(still))) : c,
        used ? window : 0,
        i -> !still.contains(i));
  }

  private static Set<Integer> still(ConfigReader json, int layers) {
    int interval = json.integer("no_rope_layer_interval", 1, Integer.MAX_VALUE, 4);
    if (!json.has("no_rope_layers")) {
      return ConfigReader.layers(layers, i -> (i + 1) % interval == 0);
    }
    List<@Nullable Object> turned = json.array("no_rope_layers"); // 1 where a layer turns
    if (turned.size() < layers || !turned.stream().allMatch(t -> t instanceof Long n && n >= 0)) {
      throw json.error("no_rope_layers", "must be 0 or 1 for each of " + layers + " layers");
    }
    return ConfigReader.layers(layers, i -> Long.valueOf(0).equals(turned.get(i)));
  }

  @Override
  public void write(TransformerConfig config, Map<String, @Nullable Object> json) {
    Rotary.write(config, json);
    if (config.headDim() * config.heads() == config.hidden()) {
      json.remove("head_dim");
    }
    json.put("attention_bias", config.biases().qkv());
    json.put("mlp_bias", config.biases().mlp());
    int window = config.attention().window();
    json.put("use_sliding_window", window > 0);
    json.put("sliding_window", window > 0 ? window : null);
    Rotary.writeLayerTypes(config, json);
    List<Integer> turned =
        IntStream.range(0, config.layers()).mapToObj(i -> config.rope(i) == null ? 0 : 1).toList();
    json.put("no_rope_layers", turned);
    int interval = turned.indexOf(0) + 1;
    json.put("no_rope_layer_interval", interval == 0 ? config.layers() + 1 : interval);
  }

  @Override
  public NameTable names(TransformerConfig config) {
    return Rotary.names(config);
  }
}
