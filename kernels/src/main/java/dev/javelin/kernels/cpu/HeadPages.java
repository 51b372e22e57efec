package dev.javelin.kernels.cpu;

import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;

/**
 * Where the pages of a KV cache lie: position t of sequence b stands in page {@code t / PAGE} of
 * its row of the table, at place {@code t % PAGE}.
 *
 * @param table I64 [sequences, columns]: the addresses of pages
 * @param columns pages of the longest sequence
 * @param offset bytes from a page's address to the keys, or values, of the layer
 */
public record HeadPages(MemorySegment table, int columns, long offset) {
  /** Positions in a page. */
  public static final int PAGE = 64;

  private static final ValueLayout.OfLong LONG = ValueLayout.JAVA_LONG_UNALIGNED;

  /** The byte where the first head of a page's first position begins. */
  long address(int sequence, int page) {
    return table.getAtIndex(LONG, (long) sequence * columns + page) + offset;
  }
}
