/** What training makes small: one file per objective. */
@NullMarked
package dev.javelin.train.objective;

import org.jspecify.annotations.NullMarked;
