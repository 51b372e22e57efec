/**
 * Launches of CUDA kernels that take more than a grid and a list of arguments: which kernel, in
 * which tiles, in how many passes. The kernels stand in {@code src/main/cuda}.
 */
@NullMarked
package dev.javelin.kernels.cuda;

import org.jspecify.annotations.NullMarked;
