/** Watching a run: the terminal, metrics.jsonl, train.log, TensorBoard, the loss curve. */
@NullMarked
package dev.javelin.train.monitor;

import org.jspecify.annotations.NullMarked;
