/** Trainings that share a model among ranks. */
@NullMarked
package dev.javelin.train.ranks;

import org.jspecify.annotations.NullMarked;
