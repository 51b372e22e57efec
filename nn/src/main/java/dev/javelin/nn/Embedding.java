package dev.javelin.nn;

import dev.javelin.autograd.Functional;
import dev.javelin.autograd.Tape;
import dev.javelin.autograd.Var;
import dev.javelin.tensor.Parameter;
import dev.javelin.tensor.Tensor;

/**
 * A row of a table for each id: {@code y[i] = weight[ids[i]]}.
 *
 * @param weight [V, C]
 */
public record Embedding(Parameter weight) {

  public static Embedding declare(Declare d, int rows, int width) {
    return new Embedding(d.parameter(rows, width));
  }

  /**
   * @param ids I32 of any shape, each in [0, V)
   * @return the ids' shape and C
   */
  public Var forward(Tape tape, Tensor ids) {
    return Functional.embedding(tape.param(weight), ids);
  }
}
