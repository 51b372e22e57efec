/** Events of a run for Java Flight Recorder, beside {@link dev.javelin.tensor.step.OpEvent}. */
@NullMarked
package dev.javelin.train.event;

import org.jspecify.annotations.NullMarked;
