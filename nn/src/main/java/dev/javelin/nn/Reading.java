package dev.javelin.nn;

import dev.javelin.autograd.Heads;
import dev.javelin.autograd.Tape;
import dev.javelin.autograd.Var;
import dev.javelin.device.Cpu;
import dev.javelin.device.DType;
import dev.javelin.device.DeviceMemory;
import dev.javelin.device.HostMemory;
import dev.javelin.device.Memory;
import dev.javelin.tensor.Shape;
import dev.javelin.tensor.Tensor;
import dev.javelin.tensor.op.AttentionMask;
import dev.javelin.tensor.op.Elementwise;
import dev.javelin.tensor.op.PagedAttention;
import java.lang.foreign.MemorySegment;
import java.util.Arrays;
import java.util.List;
import java.util.stream.IntStream;
import org.jspecify.annotations.Nullable;

/**
 * What one pass reads of several sequences: the next tokens of each, which follow those in its
 * cache. The sequences may be of any lengths and the pass is as long as all their new tokens, laid
 * one behind the other: nothing is padded.
 *
 * <pre>
 * tokens [1, N]    a a a a | b | c c        counts 4, 1, 2
 * </pre>
 */
public final class Reading {
  private final List<KvCache> caches;
  private final int[] counts;
  private final int tokens;
  private final PagedAttention.@Nullable Pages pages; // where each sequence reads one token

  /**
   * Takes the memory for the new tokens.
   *
   * @param tape an inference tape
   * @param counts new tokens of each sequence, at least one
   * @throws IllegalArgumentException where a sequence becomes longer than the model's positions
   */
  public static Reading of(Tape tape, List<KvCache> caches, int... counts) {
    return new Reading(tape, caches, counts);
  }

  private Reading(Tape tape, List<KvCache> caches, int... counts) {
    if (caches.size() != counts.length || Arrays.stream(counts).anyMatch(n -> n < 1)) {
      throw new IllegalArgumentException(
          "a pass reads at least one token of each of %d sequences, got %s"
              .formatted(caches.size(), Arrays.toString(counts)));
    }
    this.caches = List.copyOf(caches);
    this.counts = counts.clone();
    this.tokens = Arrays.stream(counts).sum();
    for (int s = 0; s < counts.length; s++) {
      caches.get(s).reserve(counts[s]);
    }
    boolean single = tokens == counts.length && tape.workspace().device() instanceof Cpu;
    this.pages = single ? pages(tape) : null;
  }

  private PagedAttention.Pages pages(Tape tape) {
    int columns = 0;
    int longest = 0;
    for (KvCache cache : caches) {
      columns = Math.max(columns, cache.pages().size());
      longest = Math.max(longest, cache.length());
    }
    long[] table = new long[caches.size() * columns];
    for (int s = 0; s < caches.size(); s++) {
      int at = s * columns;
      for (Memory page : caches.get(s).pages()) {
        table[at++] =
            switch (page) {
              case HostMemory host -> host.segment().address();
              case DeviceMemory m -> m.address();
            };
      }
    }
    Tensor addresses = tape.alloc(DType.I64, Shape.of(caches.size(), columns));
    addresses.fromHost(MemorySegment.ofArray(table));
    Tensor lengths = tape.alloc(DType.I32, Shape.of(caches.size()));
    lengths.fromHost(MemorySegment.ofArray(caches.stream().mapToInt(KvCache::length).toArray()));
    return new PagedAttention.Pages(addresses, lengths, longest, 0, 0);
  }

  /** New tokens of all sequences. */
  int tokens() {
    return tokens;
  }

  /** The least position of a new token. */
  int first() {
    return caches.stream().mapToInt(KvCache::length).min().orElse(0);
  }

  /** The position behind the last token of the longest sequence. */
  int end() {
    return ends().max().orElse(0);
  }

  /** The position behind the last token of each sequence. */
  IntStream ends() {
    return IntStream.range(0, counts.length).map(s -> caches.get(s).length() + counts[s]);
  }

  /** I32 [1, N]: the position of each new token. */
  Tensor positions(Tape tape) {
    int[] positions = new int[tokens];
    int at = 0;
    for (int s = 0; s < counts.length; s++) {
      for (int i = 0; i < counts[s]; i++) {
        positions[at++] = caches.get(s).length() + i;
      }
    }
    Tensor t = tape.alloc(DType.I32, Shape.of(1, tokens));
    t.fromHost(MemorySegment.ofArray(positions));
    return t;
  }

  /**
   * Stores the new keys and values of a layer, and attends to all of each sequence.
   *
   * @param next q [1, N, H, D], k and v [1, N, Hkv, D]
   * @return [1, N, H, D]
   */
  Var attend(int layer, Heads next, AttentionMask mask, float scale) {
    Tape tape = next.q().tape();
    Tensor q = next.q().value();
    Tensor k = next.k().value();
    Tensor v = next.v().value();
    Tensor out = tape.alloc(q.dtype(), q.shape());
    KvCache one = caches.getFirst();
    if (pages != null) {
      PagedAttention.Pages here = pages.at(one.keysOffset(layer), one.valuesOffset(layer));
      PagedAttention.forward(out, q, k, v, here, mask, scale);
      return tape.constant(out);
    }
    int from = 0;
    for (int s = 0; s < counts.length; s++) {
      int to = from + counts[s];
      Tensor lse = tape.alloc(DType.F32, Shape.of(1, q.dim(2), counts[s]));
      dev.javelin.tensor.op.Attention.forward(
          out.slice(1, from, to),
          lse,
          q.slice(1, from, to),
          all(tape, caches.get(s), one.keysOffset(layer), k.slice(1, from, to)),
          all(tape, caches.get(s), one.valuesOffset(layer), v.slice(1, from, to)),
          mask,
          scale);
      from = to;
    }
    return tape.constant(out);
  }

  /** Stores {@code x}, and gives it behind what was stored before. */
  private static Tensor all(Tape tape, KvCache cache, long offset, Tensor x) {
    cache.store(offset, x);
    if (cache.length() == 0) {
      return x;
    }
    Tensor all = tape.alloc(x.dtype(), Shape.of(1, cache.length() + x.dim(1), x.dim(2), x.dim(3)));
    cache.gather(offset, all);
    return all;
  }

  /** Counts the new tokens, after the last layer. */
  public void advance() {
    for (int s = 0; s < counts.length; s++) {
      caches.get(s).advance(counts[s]);
    }
  }

  /** [S, C]: the rows of {@code hidden} [1, N, C] behind which the sequences go on. */
  Tensor last(Tape tape, Tensor hidden) {
    int width = hidden.last();
    if (tokens == counts.length) {
      return hidden.reshape(tokens, width);
    }
    if (counts.length == 1) {
      return hidden.slice(1, tokens - 1, tokens).reshape(1, width);
    }
    Tensor rows = tape.alloc(hidden.dtype(), Shape.of(counts.length, width));
    int end = 0;
    for (int s = 0; s < counts.length; s++) {
      end += counts[s];
      Tensor row = hidden.slice(1, end - 1, end).reshape(1, width);
      Elementwise.copy(rows.slice(0, s, s + 1), row);
    }
    return rows;
  }
}
