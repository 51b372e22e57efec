/** Spikes of loss and gradient: seen, answered, and rehearsed. */
@NullMarked
package dev.javelin.train.guard;

import org.jspecify.annotations.NullMarked;
