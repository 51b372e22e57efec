/**
 * The CPU kernels: Vector API loops over memory they are given, in fp32 lanes, outputs first. They
 * allocate nothing and know neither tensors nor gradients.
 */
@NullMarked
package dev.javelin.kernels.cpu;

import org.jspecify.annotations.NullMarked;
