package dev.javelin.autograd;

/**
 * What attention takes.
 *
 * @param q queries [B, Tq, H, D]
 * @param k keys [B, Tk, Hkv, D]
 * @param v values [B, Tk, Hkv, D]
 */
public record Heads(Var q, Var k, Var v) {}
