package dev.javelin.nn.adapter;

import dev.javelin.nn.adapter.LoraConfig.Targets;
import dev.javelin.tensor.io.AtomicFile;
import dev.javelin.tensor.io.FileFormatException;
import dev.javelin.tensor.io.Json;
import dev.javelin.tensor.io.JsonObject;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Collection;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.SequencedMap;
import java.util.Set;
import org.jspecify.annotations.Nullable;

/** {@code adapter_config.json}, as versions of PEFT since 0.3 write it. */
final class AdapterJson {
  static final String FILE = "adapter_config.json";

  /** Keys that say how the adapter began, what it is for or where it came from. */
  private static final Set<String> HISTORY =
      Set.of(
          "auto_mapping",
          "base_model_name_or_path",
          "corda_config",
          "eva_config",
          "inference_mode",
          "loftq_config",
          "lora_ga_config",
          "megatron_core",
          "peft_type",
          "peft_version",
          "qalora_group_size",
          "revision",
          "runtime_config",
          "task_type");

  /** Those that are read. */
  private static final Set<String> READ =
      Set.of(
          "alpha_pattern",
          "bias",
          "exclude_modules",
          "fan_in_fan_out", // follows from the base
          "init_lora_weights",
          "layers_pattern",
          "layers_to_transform",
          "lora_alpha",
          "lora_dropout",
          "modules_to_save",
          "r",
          "rank_pattern",
          "target_modules",
          "use_dora",
          "use_rslora");

  /** Beginnings that leave the base as it is; others subtract from its weights. */
  private static final Set<String> PLAIN_INITS = Set.of("gaussian", "eva", "orthogonal");

  private AdapterJson() {}

  static LoraConfig read(Path directory) {
    JsonObject json = Json.read(directory.resolve(FILE));
    try {
      return read(json);
    } catch (ModuleNames.Unusable e) {
      throw new FileFormatException(
          json.file(), "a pattern in it " + e.getMessage(), "correct the pattern", e);
    } catch (FileFormatException e) {
      throw e;
    } catch (IllegalArgumentException e) {
      throw new FileFormatException(
          json.file(), String.valueOf(e.getMessage()), "correct the value", e);
    }
  }

  private static LoraConfig read(JsonObject json) {
    String kind = json.text("peft_type");
    if (!kind.equals("LORA")) {
      throw new FileFormatException(
          json.file(),
          "is an adapter of the kind " + JsonObject.brief(kind),
          "Javelin reads LORA (LoRA, rsLoRA, DoRA); merge others into their base with PEFT");
    }
    String bias = json.text("bias", "none");
    if (!bias.equals("none")) {
      throw json.error("bias", "is " + JsonObject.brief(bias) + ", only none is supported");
    }
    requirePlainInit(json);
    requireKnown(json);
    Targets targets = targets(json, "target_modules");
    if (targets == null) {
      throw json.error("target_modules", "is missing");
    }
    List<Integer> layers = layers(json);
    if (layers != null && targets instanceof Targets.Matching) {
      throw json.error("layers_to_transform", "does not go with a pattern as target_modules");
    }
    return new LoraConfig(
        json.integer("r", 1, LoraConfig.MOST_RANK, 8),
        json.number("lora_alpha", 8),
        json.number("lora_dropout", 0),
        targets,
        targets(json, "exclude_modules"),
        layers,
        texts(json, "layers_pattern"),
        ranks(json),
        alphas(json),
        json.flag("use_rslora", false),
        json.flag("use_dora", false),
        texts(json, "modules_to_save"),
        json.has("base_model_name_or_path") ? json.text("base_model_name_or_path") : null);
  }

  private static void requirePlainInit(JsonObject json) {
    Object init = json.members().get("init_lora_weights");
    if (init != null && !(init instanceof Boolean) && !PLAIN_INITS.contains(init)) {
      throw json.error(
          "init_lora_weights",
          "is %s, which changes the base model: convert the adapter to plain LoRA with PEFT"
              .formatted(JsonObject.brief(init)));
    }
  }

  /** A key that is new to us and says something may change what is computed. */
  private static void requireKnown(JsonObject json) {
    json.members()
        .forEach(
            (key, value) -> {
              boolean silent =
                  value == null
                      || value.equals(false)
                      || value instanceof Collection<?> c && c.isEmpty()
                      || value instanceof Map<?, ?> m && m.isEmpty();
              if (!silent && !READ.contains(key) && !HISTORY.contains(key)) {
                throw json.error(key, "is not supported, got " + JsonObject.brief(value));
              }
            });
  }

  private static @Nullable Targets targets(JsonObject json, String key) {
    return switch (json.members().get(key)) {
      case null -> null;
      case String s when s.equals("all-linear") -> new Targets.AllLinear();
      case String s -> new Targets.Matching(s);
      default -> new Targets.Named(texts(json, key));
    };
  }

  /** A list of texts, or one text; none where the key is absent. */
  private static List<String> texts(JsonObject json, String key) {
    if (!json.has(key)) {
      return List.of();
    }
    if (json.members().get(key) instanceof String one) {
      return one.isEmpty() ? List.of() : List.of(one);
    }
    List<String> texts = new ArrayList<>();
    for (Object value : json.array(key)) {
      if (!(value instanceof String text) || text.isEmpty()) {
        throw json.error(key, "must be a list of names, got " + JsonObject.brief(value) + " in it");
      }
      texts.add(text);
    }
    return texts;
  }

  private static @Nullable List<Integer> layers(JsonObject json) {
    String key = "layers_to_transform";
    if (!json.has(key)) {
      return null;
    }
    if (json.members().get(key) instanceof Number) {
      return List.of(json.integer(key, 0, Integer.MAX_VALUE));
    }
    List<Integer> layers = new ArrayList<>();
    for (Object value : json.array(key)) {
      if (!(value instanceof Long n) || n < 0 || n > Integer.MAX_VALUE) {
        throw json.error(key, "must be a list of numbers, got " + JsonObject.brief(value));
      }
      layers.add(n.intValue());
    }
    return layers.isEmpty() ? null : layers;
  }

  private static SequencedMap<String, Integer> ranks(JsonObject json) {
    SequencedMap<String, Integer> ranks = new LinkedHashMap<>();
    if (json.has("rank_pattern")) {
      JsonObject map = json.object("rank_pattern");
      map.members()
          .keySet()
          .forEach(key -> ranks.put(key, map.integer(key, 1, LoraConfig.MOST_RANK)));
    }
    return ranks;
  }

  private static SequencedMap<String, Double> alphas(JsonObject json) {
    SequencedMap<String, Double> alphas = new LinkedHashMap<>();
    if (json.has("alpha_pattern")) {
      JsonObject map = json.object("alpha_pattern");
      map.members().keySet().forEach(key -> alphas.put(key, map.number(key)));
    }
    return alphas;
  }

  /**
   * Writes it with the keys that PEFT asks for.
   *
   * @param modules that got an adapter, by name
   * @param transposed whether the base's files hold their weights as [in, out]
   */
  static void write(LoraConfig c, List<String> modules, boolean transposed, Path directory) {
    Map<String, @Nullable Object> json = new LinkedHashMap<>();
    json.put("auto_mapping", null);
    json.put("base_model_name_or_path", c.base());
    json.put("bias", "none");
    json.put("exclude_modules", plain(c.exclude(), List.of()));
    json.put("fan_in_fan_out", transposed);
    json.put("inference_mode", true);
    json.put("init_lora_weights", true);
    json.put("layers_pattern", c.layersPattern().isEmpty() ? null : c.layersPattern());
    json.put(
        "layers_to_transform",
        c.layers() == null ? null : c.layers().stream().map(Integer::longValue).toList());
    json.put("lora_alpha", whole(c.alpha()));
    json.put("lora_bias", false);
    json.put("lora_dropout", c.dropout());
    json.put("modules_to_save", c.modulesToSave().isEmpty() ? null : c.modulesToSave());
    json.put("peft_type", "LORA");
    json.put("r", (long) c.rank());
    Map<String, Object> ranks = new LinkedHashMap<>();
    c.rankPattern().forEach((key, rank) -> ranks.put(key, (long) rank));
    json.put("rank_pattern", ranks);
    Map<String, Object> alphas = new LinkedHashMap<>();
    c.alphaPattern().forEach((key, alpha) -> alphas.put(key, whole(alpha)));
    json.put("alpha_pattern", alphas);
    json.put("revision", null);
    json.put("target_modules", plain(c.targets(), modules));
    json.put("task_type", "CAUSAL_LM");
    json.put("use_dora", c.dora());
    json.put("use_rslora", c.rslora());
    AtomicFile.write(directory.resolve(FILE), Json.write(json) + "\n");
  }

  /** What PEFT's {@code all-linear} becomes in its files: the modules by their last names. */
  private static @Nullable Object plain(@Nullable Targets targets, List<String> modules) {
    return switch (targets) {
      case null -> null;
      case Targets.AllLinear() ->
          modules.stream()
              .map(m -> m.substring(m.lastIndexOf('.') + 1))
              .distinct()
              .sorted()
              .toList();
      case Targets.Named(List<String> names) -> names;
      case Targets.Matching(String regex) -> regex;
    };
  }

  private static Object whole(double number) {
    if (number == Math.rint(number) && number < 1L << 53) {
      return (long) number;
    }
    return number;
  }
}
