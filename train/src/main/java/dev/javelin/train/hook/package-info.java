/** Places where a training can be watched, changed or ended without a change to its loop. */
@NullMarked
package dev.javelin.train.hook;

import org.jspecify.annotations.NullMarked;
