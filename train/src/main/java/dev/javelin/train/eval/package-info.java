/** What a model is worth, and what it writes: held-out loss, and generation with a KV cache. */
@NullMarked
package dev.javelin.train.eval;

import org.jspecify.annotations.NullMarked;
