package dev.javelin.nn;

import dev.javelin.device.Device;
import dev.javelin.tensor.Parameter;
import dev.javelin.tensor.io.FileFormatException;
import dev.javelin.tensor.io.Safetensors;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;

/** BERT models as Hugging Face directories. */
public final class BertFiles {
  private static final String ENCODER = "bert.";

  private BertFiles() {}

  /**
   * The model of a directory whose {@code config.json} said {@code stored}, under the head that
   * {@code config} has. Where that is another one than in the directory, what it lacks is drawn
   * from {@code seed}, and what only the other has is passed over.
   *
   * @throws FileFormatException if a tensor is missing, unexpected, of another shape, of no float
   *     type, or not finite; if a file is damaged
   */
  public static ParameterBuffer<Bert> load(
      Device device,
      Path directory,
      BertConfig stored,
      BertConfig config,
      Precision precision,
      Grouping grouping,
      long seed) {
    NameTable table = names(config).reading(names(stored));
    boolean classes = config.head() == BertConfig.Head.CLASSIFIER;
    if (classes && !config.labels().equals(stored.labels())) {
      table = table.without("classifier\\..*");
    }
    return WeightFiles.load(
        directory, device, precision, grouping, d -> Bert.declare(config, d), table, seed);
  }

  /** The same, as it stands. */
  public static ParameterBuffer<Bert> load(
      Device device, Path directory, Precision precision, Grouping grouping) {
    BertConfig config = BertConfig.read(directory, note -> {});
    return load(device, directory, config, config, precision, grouping, 0);
  }

  /**
   * Writes {@code config.json} and the weights in their own type, as {@link HuggingFace#save} does.
   *
   * @throws java.io.UncheckedIOException if the directory cannot be written or the disk is full
   */
  public static void save(ParameterBuffer<Bert> buffer, Path directory, long shardBytes) {
    List<Safetensors.Item> items = Weights.items(buffer, "", Parameter::value);
    WeightFiles.write(items, directory, shardBytes);
    buffer.model().config().write(directory, buffer.model().words().weight().value().dtype());
  }

  /**
   * The names of the tensors in files, those of other heads passed over. Published ones call the
   * norms' parameters gamma and beta.
   */
  static NameTable names(BertConfig c) {
    NameTable.Builder names =
        NameTable.builder(ENCODER)
            .alias("LayerNorm\\.gamma$", "LayerNorm.weight")
            .alias("LayerNorm\\.beta$", "LayerNorm.bias")
            .whole("bert.embeddings.word_embeddings.weight", "words.weight", c.vocab())
            .whole("bert.embeddings.position_embeddings.weight", "positions.weight", c.positions())
            .whole("bert.embeddings.token_type_embeddings.weight", "types.weight", c.types());
    pair(names, "bert.embeddings.LayerNorm", "norm", c.hidden());
    for (int i = 0; i < c.layers(); i++) {
      String file = "bert.encoder.layer." + i + ".";
      String ours = "blocks." + i + ".";
      for (String kind : List.of("weight", "bias")) {
        String packed = ours + "attention.qkv." + kind;
        names
            .rows(file + "attention.self.query." + kind, packed, 0, c.hidden())
            .rows(file + "attention.self.key." + kind, packed, c.hidden(), c.hidden())
            .rows(file + "attention.self.value." + kind, packed, 2 * c.hidden(), c.hidden());
      }
      pair(names, file + "attention.output.dense", ours + "attention.out", c.hidden());
      pair(names, file + "attention.output.LayerNorm", ours + "norm1", c.hidden());
      pair(names, file + "intermediate.dense", ours + "mlp.up", c.inner());
      pair(names, file + "output.dense", ours + "mlp.down", c.hidden());
      pair(names, file + "output.LayerNorm", ours + "norm2", c.hidden());
    }
    BertConfig.Head head = c.head();
    if (head.pools()) {
      pair(names, "bert.pooler.dense", "pooler", c.hidden());
    }
    if (head.unmasks()) {
      names
          .whole("cls.predictions.bias", "masked.bias", c.vocab())
          .copy("cls.predictions.decoder.bias", "masked.bias", c.vocab())
          .copy("cls.predictions.decoder.weight", "words.weight", c.vocab());
      pair(names, "cls.predictions.transform.dense", "masked.dense", c.hidden());
      pair(names, "cls.predictions.transform.LayerNorm", "masked.norm", c.hidden());
    }
    if (head.comparesSentences()) {
      pair(names, "cls.seq_relationship", "sentences", 2);
    }
    if (head == BertConfig.Head.CLASSIFIER) {
      pair(names, "classifier", "classes", c.labels().count());
    }
    if (head == BertConfig.Head.NONE) {
      names.alias("^bert\\.", "");
    }
    List<String> passedOver =
        new ArrayList<>(List.of("(.*\\.)?embeddings\\.(position|token_type)_ids"));
    if (!head.pools()) {
      passedOver.add("(bert\\.)?pooler\\..*");
    }
    if (!head.unmasks()) {
      passedOver.add("cls\\.predictions\\..*");
    }
    if (!head.comparesSentences()) {
      passedOver.add("cls\\.seq_relationship\\..*");
    }
    if (head != BertConfig.Head.CLASSIFIER) {
      passedOver.add("classifier\\..*");
    }
    NameTable table = names.buffers(String.join("|", passedOver)).build();
    return head == BertConfig.Head.NONE
        ? table.renamed("", n -> n.substring(ENCODER.length()))
        : table;
  }

  private static void pair(NameTable.Builder names, String file, String ours, int rows) {
    names.whole(file + ".weight", ours + ".weight", rows);
    names.whole(file + ".bias", ours + ".bias", rows);
  }
}
