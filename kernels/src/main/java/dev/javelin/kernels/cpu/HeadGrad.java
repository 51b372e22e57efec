package dev.javelin.kernels.cpu;

/**
 * Where a gradient of heads goes.
 *
 * @param accumulate whether to add to what stands there; otherwise every element is written
 */
public record HeadGrad(HeadView view, boolean accumulate) {}
