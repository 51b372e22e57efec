package dev.javelin.tensor.op;

import static dev.javelin.tensor.op.Operands.heads;

import dev.javelin.device.Cpu;
import dev.javelin.device.Cuda;
import dev.javelin.device.DType;
import dev.javelin.kernels.cpu.AttentionCpu;
import dev.javelin.kernels.cpu.AttentionShape;
import dev.javelin.kernels.cpu.HeadPages;
import dev.javelin.tensor.Check;
import dev.javelin.tensor.Shape;
import dev.javelin.tensor.Tensor;

/**
 * Attention of the next token of each of several sequences over keys and values that lie in pages.
 *
 * @see Attention
 * @see <a href="https://arxiv.org/abs/2309.06180">Kwon et al. 2023, PagedAttention</a>
 */
public final class PagedAttention {
  /** Positions in a page. */
  public static final int PAGE = HeadPages.PAGE;

  private PagedAttention() {}

  /**
   * Where the pages of some sequences lie. A page holds {@code [.., PAGE, Hkv, D]}: the keys of its
   * positions stand {@code keysOffset} elements behind its address, the values {@code
   * valuesOffset}.
   *
   * @param addresses I64 [S, P]: of the pages of each sequence, on the device
   * @param lengths I32 [S]: tokens that the pages hold before the new one
   * @param longest the greatest of the lengths
   */
  public record Pages(
      Tensor addresses, Tensor lengths, int longest, long keysOffset, long valuesOffset) {

    /** The same pages, of another layer. */
    public Pages at(long keysOffset, long valuesOffset) {
      return new Pages(addresses, lengths, longest, keysOffset, valuesOffset);
    }
  }

  /**
   * Puts the new keys and values into the pages and computes {@code o[s,h] = Σ_j softmax_j(scale ·
   * q[s,h]·k[s,j,h']) · v[s,j,h']} over the keys {@code j <= lengths[s]} of the sequence that the
   * mask's window shows; its soft cap and slopes count too, and arrays over keys it must not have.
   * A sequence's result has the same bits in any company. On the CPU; for a GPU there is no kernel
   * yet.
   *
   * <p>q, o [1, S, H, D], k, v [1, S, Hkv, D], of one float type, as in {@link Attention}.
   */
  public static void forward(
      Tensor o, Tensor q, Tensor k, Tensor v, Pages pages, AttentionMask mask, float scale) {
    Check check = Check.that("paged attention").floats("q", q).rank("q", q, 4).rank("k", k, 4);
    int sequences = q.dim(1);
    check
        .shape("q", q, Shape.of(1, sequences, q.dim(2), q.dim(3)))
        .shape("k", k, Shape.of(1, sequences, k.dim(2), q.dim(3)))
        .sameShape("o", o, "q", q)
        .sameShape("v", v, "k", k)
        .dtype("o", o, q.dtype())
        .dtype("k", k, q.dtype())
        .dtype("v", v, q.dtype())
        .is(
            q.dim(2) % k.dim(2) == 0,
            () -> "the heads of q must be a multiple of those of k, got " + q.form())
        .dtype("addresses", pages.addresses(), DType.I64)
        .contiguous("addresses", pages.addresses())
        .dtype("lengths", pages.lengths(), DType.I32)
        .shape("lengths", pages.lengths(), Shape.of(sequences))
        .is(
            pages.addresses().dim(0) == sequences
                && pages.addresses().dim(1) >= pages.longest() / PAGE + 1,
            () -> "pages are missing for " + sequences + " sequences of " + pages.longest())
        .is(
            mask.causal()
                && mask.lengths() == null
                && mask.keys() == null
                && mask.documentStarts() == null,
            () -> "a causal mask without arrays over keys is needed");
    for (Tensor t : new Tensor[] {o, q, k, v}) {
      Operands.checkHeads(check, "an operand", t);
    }
    switch (q.device()) {
      case Cpu cpu ->
          AttentionCpu.decode(
              cpu,
              heads(o),
              heads(q),
              heads(k),
              heads(v),
              cpu(pages, q.dtype().bytes(pages.keysOffset())),
              cpu(pages, q.dtype().bytes(pages.valuesOffset())),
              pages.lengths().segment(),
              new AttentionShape(sequences, 1, pages.longest() + 1, q.dim(2), k.dim(2), q.dim(3)),
              Attention.cpu(mask, scale));
      case Cuda cuda ->
          throw new IllegalArgumentException(
              "paged attention: there is no kernel for " + cuda + ": copy the pages together");
    }
  }

  private static HeadPages cpu(Pages pages, long offset) {
    return new HeadPages(pages.addresses().segment(), pages.addresses().dim(1), offset);
  }
}
