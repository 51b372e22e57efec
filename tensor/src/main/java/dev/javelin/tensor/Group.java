package dev.javelin.tensor;

/**
 * Parameters that are updated alike.
 *
 * @param lrScale factor on the step's learning rate
 * @param weightDecay decoupled weight decay, per unit of learning rate
 * @param frozen without gradient: left as it is
 */
public record Group(String name, float lrScale, float weightDecay, boolean frozen) {}
