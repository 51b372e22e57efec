/** Shapes, tensors and parameters: what an operator is given. */
@NullMarked
package dev.javelin.tensor;

import org.jspecify.annotations.NullMarked;
