package dev.javelin.kernels.cuda;

import dev.javelin.device.Addressable;

/**
 * Dropout of the weights of attention, as kernels want it.
 *
 * @param state holds seed, step and first sequence
 * @param threshold an element is kept where its random word, unsigned, is at least this
 * @param scale of an element that is kept
 */
public record CudaDropout(Addressable state, int site, int threshold, float scale) {}
