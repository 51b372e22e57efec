package dev.javelin.kernels.cpu;

import java.lang.foreign.MemorySegment;
import org.jspecify.annotations.Nullable;

/**
 * One tensor that a rotation turned, on the way back.
 *
 * @param dx where the gradient of x goes; {@code null}: nowhere
 * @param dw F32 [D], the weight's gradient, which is added to; {@code null}: nowhere
 * @param rstd as the forward pass left it; {@code null} without normalisation
 */
public record RopeGradSide(
    @Nullable HeadGrad dx,
    @Nullable MemorySegment dw,
    HeadView dy,
    HeadView x,
    @Nullable MemorySegment weight,
    @Nullable MemorySegment rstd,
    int heads) {}
