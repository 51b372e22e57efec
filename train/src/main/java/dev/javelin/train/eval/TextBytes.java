package dev.javelin.train.eval;

import dev.javelin.tensor.Tensor;
import dev.javelin.train.data.BatchLayout;
import dev.javelin.train.data.Fields;
import dev.javelin.train.tokenizer.Tokenizer;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.function.ToLongFunction;

/** Bytes of text that the targets of a batch stand for. */
public record TextBytes(Tokenizer tokenizer) implements ToLongFunction<Fields> {

  @Override
  public long applyAsLong(Fields batch) {
    Tensor targets = batch.get(BatchLayout.TARGETS);
    MemorySegment ids = targets.segment();
    long bytes = 0;
    for (long i = 0; i < targets.elements(); i++) {
      int id = ids.getAtIndex(ValueLayout.JAVA_INT, i);
      bytes += id >= 0 && id < tokenizer.vocabSize() ? tokenizer.byteLength(id) : 0;
    }
    return bytes;
  }
}
