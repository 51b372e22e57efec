package dev.javelin.nn;

import dev.javelin.autograd.AddNorm;
import dev.javelin.autograd.Var;
import dev.javelin.nn.Norm.Stream;
import org.jspecify.annotations.Nullable;

/**
 * One layer of the decoder: {@code x += attn(norm1(x)); x += mlp(norm2(x))}.
 *
 * @param index which layer, from 0; picks its masks and its part of a cache
 * @param dropout of what it adds to the residual stream, in training
 */
record Block(int index, double dropout, Norm norm1, Attention attn, Norm norm2, Mlp mlp) {

  static Block declare(Declare d, TransformerConfig c, int index, @Nullable RotaryTable rotary) {
    return new Block(
        index,
        c.dropout().residual(),
        Norm.declare(d, c),
        Attention.declare(d, c, index, rotary),
        Norm.declare(d, c),
        Mlp.declare(d, c));
  }

  Stream forward(Stream in, Pass pass) {
    AddNorm first = norm1.forward(in);
    Var h = pass.dropout(attn.forward(first.norm(), pass), dropout, 1 + 2 * index);
    AddNorm second = norm2.add(first.sum(), h);
    return new Stream(
        second.sum(), pass.dropout(mlp.forward(second.norm()), dropout, 2 + 2 * index));
  }
}
