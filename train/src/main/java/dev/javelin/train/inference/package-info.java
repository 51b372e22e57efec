/** Text generation: one loaded model serves any number of threads. */
@NullMarked
package dev.javelin.train.inference;

import org.jspecify.annotations.NullMarked;
