package dev.javelin.train.xray;

import java.util.List;

/** A section of the page. */
sealed interface Section
    permits TokenSection,
        TapeSection,
        AttentionSection,
        StreamSection,
        BackwardSection,
        OptimizerSection,
        MemorySection,
        RooflineSection,
        LossSection {
  /** Its name in links. */
  String id();

  String title();

  /** What it is about, for who knows Java and no machine learning. */
  String lead();

  /** Its pictures and tables of one snapshot. */
  void show(Html html, Xray x, Detail detail);

  List<Check> checks();

  /** Three of them, their answers from the numbers of the page. */
  List<Exercise> exercises(Xray x);

  /**
   * How a number comes about.
   *
   * @param source a class and a method of it, {@code dev.javelin.tensor.op.AdamW#step}
   */
  record Check(String number, String formula, String source) {}

  record Exercise(String question, String answer) {}
}
