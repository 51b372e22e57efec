package dev.javelin.kernels.cuda;

import dev.javelin.device.Addressable;
import org.jspecify.annotations.Nullable;

/**
 * Which keys a query sees and what is added to their scores, with its arrays in a GPU's memory.
 *
 * @param window 0: none
 * @param softCap 0: none
 * @param lengths I32 [B]
 * @param keys I32 [B, Tk]
 * @param documentStarts I32 [B, Tq]
 * @param slopes F32 [H]
 */
public record CudaMask(
    boolean causal,
    int window,
    float softCap,
    @Nullable Addressable lengths,
    @Nullable Addressable keys,
    @Nullable Addressable documentStarts,
    @Nullable Addressable slopes) {}
