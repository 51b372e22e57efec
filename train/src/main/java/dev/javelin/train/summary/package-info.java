/** What a run has cost and reached: tokens, arithmetic, time, energy. */
@NullMarked
package dev.javelin.train.summary;

import org.jspecify.annotations.NullMarked;
