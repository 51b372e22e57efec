package dev.javelin.train.estimate;

/**
 * A change of settings that takes less memory.
 *
 * @param flags of the command line
 * @param bytes that the run takes then
 */
public record Remedy(String flags, long bytes) {}
