package dev.javelin.nn;

/** One layer of the decoder: {@code x += attn(norm1(x)); x += mlp(norm2(x))}. */
record Block(Norm norm1, Attention attn, Norm norm2, Mlp mlp) {

  static Block declare(Declare d, TransformerConfig c) {
    return new Block(
        Norm.declare(d, c), Attention.declare(d, c), Norm.declare(d, c), Mlp.declare(d, c));
  }
}
