package dev.javelin.nn;

/**
 * A model whose parameters have other names in files than in its record. One that does not
 * implement this is saved under the names of {@link ParameterBuffer#named}.
 */
@FunctionalInterface
public interface NamedInFiles {
  NameTable fileNames();
}
