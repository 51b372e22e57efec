/** Benchmarks, each with the figure it is compared with. */
@NullUnmarked
package dev.javelin.bench;

import org.jspecify.annotations.NullUnmarked;
