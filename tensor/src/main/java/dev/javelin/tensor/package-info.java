/** Shapes, tensors, the step's memory, parameters, and the safetensors file format. */
@NullMarked
package dev.javelin.tensor;

import org.jspecify.annotations.NullMarked;
