/** What a training step owns: its memory, its recorded graph, its counters and decisions. */
@NullMarked
package dev.javelin.tensor.step;

import org.jspecify.annotations.NullMarked;
