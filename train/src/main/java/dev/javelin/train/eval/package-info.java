/** Evaluation: the loss on held-out tokens. */
@NullMarked
package dev.javelin.train.eval;

import org.jspecify.annotations.NullMarked;
