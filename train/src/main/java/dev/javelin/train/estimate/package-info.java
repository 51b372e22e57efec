/** What a run will take, of memory and of time, and what there is. */
@NullMarked
package dev.javelin.train.estimate;

import org.jspecify.annotations.NullMarked;
