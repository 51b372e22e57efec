package dev.javelin.cli;

import dev.javelin.device.Device;
import dev.javelin.nn.Classifiers;
import dev.javelin.train.TextClassifier;
import dev.javelin.train.data.InputException;
import dev.javelin.train.data.LabelledRows;
import dev.javelin.train.data.LabelledTexts;
import dev.javelin.train.data.TextFrame;
import dev.javelin.train.eval.Classification;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.function.IntFunction;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Model.CommandSpec;

/** {@code javelin eval} of a classifier. */
record EvalClassifier(
    @Nullable CommandSpec spec,
    Path model,
    List<Path> data,
    String column,
    String labelColumn,
    boolean json) {

  static boolean isOne(Path model) {
    return Files.isRegularFile(model.resolve("config.json")) && Classifiers.labels(model) != null;
  }

  /**
   * @param device opens one for heads of a width
   * @param seqLen 0 for the model's positions
   */
  String on(IntFunction<Device> device, int batch, int seqLen) {
    int headDim = TextClassifier.shape(model, note -> {}).headDim();
    try (Device on = device.apply(headDim);
        TextClassifier loaded = TextClassifier.load(on, model)) {
      int positions = loaded.positions();
      if (seqLen > positions) {
        throw new InputException(
            "--seq-len %d is longer than the model's %d positions: choose at most %d"
                .formatted(seqLen, positions, positions));
      }
      LabelledTexts texts = LabelledTexts.read(data, column, labelColumn, loaded.tokenizer());
      LabelledRows rows =
          new LabelledRows(
              texts,
              TextFrame.of(loaded.tokenizer()),
              seqLen == 0 ? positions : seqLen,
              Integer.MAX_VALUE,
              loaded.model().labels()::indexOf);
      Main.notes(spec, rows.notes());
      Classification result = loaded.evaluate(rows, batch);
      return json ? result.json() : result.toString();
    }
  }
}
