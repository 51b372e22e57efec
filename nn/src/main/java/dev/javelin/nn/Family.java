package dev.javelin.nn;

import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/**
 * A kind of model as Hugging Face publishes it: how its {@code config.json} says the features that
 * {@link TransformerConfig} has, and which names its tensors bear. Nothing else asks which family a
 * model is of.
 *
 * <p>A family is a record without components, and is found by a line with its name in {@code
 * META-INF/services/dev.javelin.nn.Family} on the class path: those that are built in stand there,
 * and so do yours.
 *
 * <p>Thread-safe: it holds nothing.
 */
public interface Family {
  /** {@code model_type} in {@code config.json}. */
  String modelType();

  /** The one of {@code architectures} in {@code config.json}. */
  String className();

  /** The same without its head, {@code LlamaModel}. */
  default String baseClassName() {
    return className().replaceFirst("(ForCausalLM|LMHeadModel)$", "Model");
  }

  /** All that {@code architectures} may name. */
  default List<String> classNames() {
    return List.of(className(), baseClassName(), Classifiers.className(this));
  }

  /**
   * Reads the features of a model of this family. Keys that are not asked for and may change what
   * the model computes are refused afterwards, all others kept.
   *
   * @throws dev.javelin.tensor.io.FileFormatException for a value that no feature covers
   */
  TransformerConfig read(ConfigReader json);

  /** Puts what {@link #read} reads; keys that all families share are there already. */
  void write(TransformerConfig config, Map<String, @Nullable Object> json);

  /** The names of the tensors in files. */
  NameTable names(TransformerConfig config);
}
