/** The update of the weights: gradient norm, clipping, loss scale, AdamW and its state. */
@NullMarked
package dev.javelin.train.optim;

import org.jspecify.annotations.NullMarked;
