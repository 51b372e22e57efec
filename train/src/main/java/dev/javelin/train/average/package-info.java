/** Averages of weights: over the steps of a run, and over checkpoints. */
@NullMarked
package dev.javelin.train.average;

import org.jspecify.annotations.NullMarked;
