/** The update of the weights: clipping and loss scale, the rule, and the state it keeps. */
@NullMarked
package dev.javelin.train.optim;

import org.jspecify.annotations.NullMarked;
