package dev.javelin.kernels.cpu;

import java.lang.foreign.MemorySegment;
import org.jspecify.annotations.Nullable;

/**
 * One tensor that a rotation turns forward: queries or keys.
 *
 * @param y receives the result
 * @param rstd receives {@code 1 / sqrt(mean(x²) + eps)} of each head, F32 [B, T, heads]; {@code
 *     null} without normalisation
 * @param weight of the normalisation, [D] of x's type
 */
public record RopeSide(
    HeadView y,
    @Nullable MemorySegment rstd,
    HeadView x,
    @Nullable MemorySegment weight,
    int heads) {}
