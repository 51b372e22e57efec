/** The directory of a run: who may write into it, and what stands where. */
@NullMarked
package dev.javelin.train.run;

import org.jspecify.annotations.NullMarked;
