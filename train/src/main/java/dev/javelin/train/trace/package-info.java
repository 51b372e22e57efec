/**
 * What one thread of a CUDA kernel reads, is given, and writes, on the emulated device: an operator
 * runs on small tensors, the device writes down what a warp does, and the addresses in that become
 * elements of tensors and lines of the source.
 */
@NullMarked
package dev.javelin.train.trace;

import org.jspecify.annotations.NullMarked;
