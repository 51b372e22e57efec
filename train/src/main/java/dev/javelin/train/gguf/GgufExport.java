package dev.javelin.train.gguf;

import dev.javelin.device.Turn;
import dev.javelin.nn.NameTable;
import dev.javelin.nn.TransformerConfig;
import dev.javelin.tensor.Tensor;
import dev.javelin.tensor.io.Json;
import dev.javelin.tensor.io.JsonObject;
import dev.javelin.train.LanguageModel;
import dev.javelin.train.data.InputException;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * Writes a model with its tokenizer as one GGUF file. Matrices have the type that is asked for,
 * vectors are F32; a matrix whose rows no block of a quantised type divides is F16.
 */
public final class GgufExport {
  private GgufExport() {}

  /**
   * Writes {@code file}, which is there whole or not at all.
   *
   * @param model in fp32
   * @param name what the model is called in the file
   * @return what the user should know, a line each
   * @throws InputException where GGUF cannot say what the model computes
   */
  public static List<String> write(LanguageModel model, String name, GgufType type, Path file) {
    TransformerConfig config = model.config();
    GgufArchitecture architecture = GgufArchitecture.of(config);
    if (model.adaptation() != null) {
      throw new InputException("--gguf needs a plain model: merge the adapter first");
    }
    if (model.tokenizer() == null) {
      throw new InputException("--gguf needs a model with a tokenizer");
    }
    if (model.tokenizer().vocabSize() > config.vocab()) {
      throw new InputException(
          "the tokenizer has %d tokens, the model only %d: they do not belong together"
              .formatted(model.tokenizer().vocabSize(), config.vocab()));
    }
    List<String> notes = new ArrayList<>();
    List<String> unquantised = new ArrayList<>();
    GgufFile gguf = new GgufFile();
    gguf.put("general.architecture", architecture.name());
    gguf.put("general.name", name);
    gguf.put("general.file_type", type.fileType);
    gguf.put("general.quantization_version", 2);
    architecture.describe(config, gguf);
    GgufTokenizer.describe(model.tokenizer(), config.vocab(), gguf, notes::add);
    String template = template(model);
    if (template != null) {
      gguf.put("tokenizer.chat_template", template);
    }
    float[] factors = GgufArchitecture.frequencyFactors(config);
    if (factors != null) {
      gguf.tensor(
          "rope_freqs.weight",
          1,
          factors.length,
          true,
          GgufType.F32,
          (_, row) -> System.arraycopy(factors, 0, row, 0, row.length));
    }
    try (Turn _ = model.device().turn()) {
      model.parameters().requireOpen();
      model
          .transformer()
          .fileNames()
          .places()
          .forEach(
              (inFile, place) -> add(gguf, architecture, model, inFile, place, type, unquantised));
      gguf.write(file);
    }
    if (!unquantised.isEmpty()) {
      notes.add(
          "%d matrices are written as f16, since their rows are no whole blocks of %d: %s …"
              .formatted(unquantised.size(), type.block, unquantised.getFirst()));
    }
    return notes;
  }

  private static void add(
      GgufFile gguf,
      GgufArchitecture architecture,
      LanguageModel model,
      String inFile,
      NameTable.Place place,
      GgufType type,
      List<String> unquantised) {
    Tensor value = model.parameters().get(place.parameter()).value();
    MemorySegment host = value.toHost();
    int headDim = model.config().headDim();
    String name = architecture.tensor(inFile);
    if (value.rank() < 2) {
      gguf.tensor(
          name,
          1,
          place.rows(),
          true,
          GgufType.F32,
          (_, row) -> {
            for (int i = 0; i < row.length; i++) {
              long at = architecture.row(inFile, place, headDim, i);
              row[i] = host.getAtIndex(ValueLayout.JAVA_FLOAT, at);
            }
          });
      return;
    }
    int cols = value.last();
    GgufType fitting = cols % type.block == 0 ? type : GgufType.F16;
    if (fitting != type) {
      unquantised.add(name);
    }
    gguf.tensor(
        name,
        place.rows(),
        cols,
        false,
        fitting,
        (r, row) ->
            MemorySegment.copy(
                host,
                ValueLayout.JAVA_FLOAT,
                Float.BYTES * cols * architecture.row(inFile, place, headDim, r),
                row,
                0,
                cols));
  }

  private static @Nullable String template(LanguageModel model) {
    byte[] file = model.companions().files().get("chat_template.jinja");
    if (file != null) {
      return new String(file, StandardCharsets.UTF_8);
    }
    byte[] config =
        model.tokenizer() == null ? null : model.tokenizer().files().get("tokenizer_config.json");
    if (config == null) {
      return null;
    }
    JsonObject json = Json.parse(Path.of("tokenizer_config.json"), ByteBuffer.wrap(config));
    return json.members().get("chat_template") instanceof String text ? text : null;
  }
}
