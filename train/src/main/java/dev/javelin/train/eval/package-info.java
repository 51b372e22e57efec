/** What a model is worth: its loss on held-out tokens. */
@NullMarked
package dev.javelin.train.eval;

import org.jspecify.annotations.NullMarked;
