/**
 * Launches of CUDA kernels, the one home of them: which instance, in which tiles, in how many
 * passes, with which arguments. {@code XCuda} launches the kernels of {@code src/main/cuda/x.cu} as
 * {@code kernels.cpu.XCpu} runs the loops of a processor. Operands are pointers with their type and
 * sizes; operators have checked them.
 *
 * <p>The block size stands in the source alone and is read back ({@code CudaKernel.blockSize}).
 * Other sizes that a kernel and its launch share stand in both, and {@code SharedGeometryTest}
 * compares them.
 */
@NullMarked
package dev.javelin.kernels.cuda;

import org.jspecify.annotations.NullMarked;
