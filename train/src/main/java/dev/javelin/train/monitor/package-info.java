/** Watching a run: metrics.jsonl, train.log and TensorBoard events. */
@NullMarked
package dev.javelin.train.monitor;

import org.jspecify.annotations.NullMarked;
