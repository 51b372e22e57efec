package dev.javelin.tensor;

/**
 * Where a gradient goes.
 *
 * @param accumulate whether to add to what stands there; otherwise every element is written
 */
public record Grad(Tensor tensor, boolean accumulate) {}
