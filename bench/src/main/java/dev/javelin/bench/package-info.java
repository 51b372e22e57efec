/** Benchmarks, each with the figure it is compared with. */
@NullMarked
package dev.javelin.bench;

import org.jspecify.annotations.NullMarked;
