package dev.javelin.tensor;

/**
 * Elements {@code [from, to)} of a model's flat buffers, which are updated alike.
 *
 * @param lrScale factor on the step's learning rate
 * @param weightDecay decoupled weight decay, per unit of learning rate
 */
public record Segment(long from, long to, float lrScale, float weightDecay) {}
