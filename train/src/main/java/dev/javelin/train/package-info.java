/** The training loop and what surrounds it. */
@NullMarked
package dev.javelin.train;

import org.jspecify.annotations.NullMarked;
