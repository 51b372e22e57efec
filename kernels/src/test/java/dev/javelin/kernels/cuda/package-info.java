/** Tests of CUDA kernels and of the wrappers they are made of, on a GPU or on the emulated one. */
@NullMarked
package dev.javelin.kernels.cuda;

import org.jspecify.annotations.NullMarked;
