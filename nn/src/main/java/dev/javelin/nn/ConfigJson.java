package dev.javelin.nn;

import dev.javelin.device.DType;
import dev.javelin.tensor.io.FileFormatException;
import dev.javelin.tensor.io.JsonObject;
import java.util.Collections;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.function.Consumer;
import org.jspecify.annotations.Nullable;

/**
 * {@code config.json} of Hugging Face: what all families share. An absent key means what it means
 * to transformers.
 */
final class ConfigJson {
  private ConfigJson() {}

  static TransformerConfig read(JsonObject json) {
    return read(json, note -> {});
  }

  static TransformerConfig read(JsonObject json, Consumer<String> notes) {
    String type = json.text("model_type");
    Family family = Families.all().get(type);
    if (family == null) {
      throw new FileFormatException(
          json.file(),
          "the model_type \"" + type + "\" is not supported",
          "take a model of one of " + String.join(", ", Families.all().keySet()));
    }
    if (json.has("architectures")
        && Collections.disjoint(json.array("architectures"), family.classNames())) {
      throw json.error(
          "architectures",
          "must name "
              + String.join(" or ", family.classNames())
              + ", got "
              + JsonObject.brief(json.array("architectures")));
    }
    ConfigReader reader = new ConfigReader(json, notes);
    try {
      return family.read(reader).withExtras(reader.rest());
    } catch (IllegalArgumentException e) {
      throw reader.error(e);
    }
  }

  static Map<String, @Nullable Object> write(TransformerConfig c, DType weights) {
    Map<String, @Nullable Object> json = new TreeMap<>(c.extras());
    Family family = c.family();
    writeShared(json, family.className(), family.modelType(), c.vocab(), c.tied(), weights);
    family.write(c, json);
    return json;
  }

  /** Puts the keys that every model has. */
  static void writeShared(
      Map<String, @Nullable Object> json,
      String className,
      String modelType,
      int vocab,
      boolean tied,
      DType weights) {
    json.put("architectures", List.of(className));
    json.put("model_type", modelType);
    json.put("vocab_size", vocab);
    json.put("tie_word_embeddings", tied);
    json.putIfAbsent("use_cache", true);
    String dtype =
        switch (weights) {
          case F32 -> "float32";
          case BF16 -> "bfloat16";
          case F16 -> "float16";
          case I32, I64, U8 ->
              throw new IllegalArgumentException("weights must be of a float type, got " + weights);
        };
    json.put("torch_dtype", dtype);
    json.put("dtype", dtype);
  }
}
