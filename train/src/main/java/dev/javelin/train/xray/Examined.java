package dev.javelin.train.xray;

import dev.javelin.device.Device;
import dev.javelin.nn.ParameterBuffer;
import dev.javelin.nn.Precision;
import dev.javelin.nn.Transformer;
import dev.javelin.nn.TransformerConfig;
import dev.javelin.train.tokenizer.Tokenizer;
import org.jspecify.annotations.Nullable;

/** A decoder that an X-ray is taken of. */
public interface Examined {
  Device device();

  /** All weights. */
  ParameterBuffer<Transformer> parameters();

  /** Those that training moves. */
  ParameterBuffer<?> trained();

  /** What computes. */
  Transformer transformer();

  TransformerConfig config();

  Precision precision();

  /** {@code null} where there is none. */
  @Nullable Tokenizer tokenizer();
}
