package dev.javelin.autograd;

/**
 * What a residual addition with a normalisation gives.
 *
 * @param sum the residual stream after the addition
 * @param norm the normalised sum
 */
public record AddNorm(Var sum, Var norm) {}
