package dev.javelin.train.settings;

import java.nio.file.Path;
import org.jspecify.annotations.Nullable;

/**
 * What a run makes small.
 *
 * @param objective one of {@code dev.javelin.train.Objectives}' names
 * @param labelColumn field or column of the class, where texts are classified
 * @param preferenceBeta how firmly preferences hold the model to the reference; the weight of the
 *     odds ratio in ORPO
 * @param labelSmoothing share of preferences that are the wrong way round
 * @param reference directory of the model that preferences are measured against; {@code null} for
 *     the model without its adapters, or as it was
 * @param teacher directory of the model that is learned from
 * @param distillTemperature what the logits of both are divided by
 * @param distillShare the teacher's share in the loss
 */
public record ObjectiveSpec(
    String objective,
    String labelColumn,
    @Also({"beta"}) double preferenceBeta,
    double labelSmoothing,
    @Also({"ref_model", "reference_model"}) @Nullable Path reference,
    @Also({"teacher_model"}) @Nullable Path teacher,
    double distillTemperature,
    double distillShare) {
  /** What a run has where nothing else is said. */
  public static final ObjectiveSpec DEFAULT =
      new ObjectiveSpec("next-token", "label", 0.1, 0, null, null, 2, 0.5);

  public ObjectiveSpec {
    Checks.require(
        preferenceBeta > 0 && preferenceBeta <= Float.MAX_VALUE,
        "--preference-beta must be more than 0, and finite, got " + preferenceBeta);
    Checks.require(
        labelSmoothing >= 0 && labelSmoothing < 0.5,
        "--label-smoothing must lie between 0 and 0.5 (exclusive), got " + labelSmoothing);
    Checks.require(
        distillTemperature > 0 && distillTemperature <= 1000,
        "--distill-temperature must lie between 0 (exclusive) and 1000, got " + distillTemperature);
    Checks.require(
        distillShare >= 0 && distillShare <= 1,
        "--distill-share must lie between 0 and 1, got " + distillShare);
  }

  public ObjectiveSpec withObjective(String value) {
    return Components.with(this, "objective", value);
  }

  public ObjectiveSpec withLabelColumn(String value) {
    return Components.with(this, "labelColumn", value);
  }

  public ObjectiveSpec withPreferenceBeta(double value) {
    return Components.with(this, "preferenceBeta", value);
  }

  public ObjectiveSpec withLabelSmoothing(double value) {
    return Components.with(this, "labelSmoothing", value);
  }

  public ObjectiveSpec withReference(@Nullable Path value) {
    return Components.with(this, "reference", value);
  }

  public ObjectiveSpec withTeacher(@Nullable Path value) {
    return Components.with(this, "teacher", value);
  }

  public ObjectiveSpec withDistillTemperature(double value) {
    return Components.with(this, "distillTemperature", value);
  }

  public ObjectiveSpec withDistillShare(double value) {
    return Components.with(this, "distillShare", value);
  }
}
