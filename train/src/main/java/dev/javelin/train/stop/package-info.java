/** Rules that end a run before its last step. */
@NullMarked
package dev.javelin.train.stop;

import org.jspecify.annotations.NullMarked;
