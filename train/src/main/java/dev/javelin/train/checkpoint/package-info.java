/** Checkpoints: what a run needs to resume bit for bit, whole on disk or absent. */
@NullMarked
package dev.javelin.train.checkpoint;

import org.jspecify.annotations.NullMarked;
