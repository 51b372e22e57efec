/** Text from a model: one loaded model serves any number of threads, each request as if alone. */
@NullMarked
package dev.javelin.train.inference;

import org.jspecify.annotations.NullMarked;
