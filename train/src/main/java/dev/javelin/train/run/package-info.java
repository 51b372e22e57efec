/** A run's directory: its lock, its paths, its configuration and its links. */
@NullMarked
package dev.javelin.train.run;

import org.jspecify.annotations.NullMarked;
