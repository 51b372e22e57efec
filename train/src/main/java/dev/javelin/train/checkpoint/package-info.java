/** Checkpoints: what a run needs to go on bit for bit, whole on the disk or not there. */
@NullMarked
package dev.javelin.train.checkpoint;

import org.jspecify.annotations.NullMarked;
