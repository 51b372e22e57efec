package dev.javelin.tensor.step;

import java.util.Arrays;

/**
 * The free ranges of a slab, by offset, never touching each other. First fit; neighbours are joined
 * when a range comes back.
 */
final class FreeList {
  private long[] offsets = new long[64];
  private long[] sizes = new long[64];
  private int count;

  FreeList(long bytes) {
    sizes[0] = bytes;
    count = bytes > 0 ? 1 : 0;
  }

  /** Offset of the first free range of {@code bytes}, now taken; -1 where there is none. */
  long take(long bytes) {
    for (int i = 0; i < count; i++) {
      if (sizes[i] >= bytes) {
        long offset = offsets[i];
        offsets[i] += bytes;
        sizes[i] -= bytes;
        if (sizes[i] == 0) {
          remove(i);
        }
        return offset;
      }
    }
    return -1;
  }

  /** Gives a taken range back. */
  void give(long offset, long bytes) {
    int at = Arrays.binarySearch(offsets, 0, count, offset);
    int i = -at - 1; // the first free range behind it
    assert at < 0
        && (i == 0 || offsets[i - 1] + sizes[i - 1] <= offset)
        && (i == count || offset + bytes <= offsets[i]);
    boolean joinsLeft = i > 0 && offsets[i - 1] + sizes[i - 1] == offset;
    boolean joinsRight = i < count && offset + bytes == offsets[i];
    if (joinsLeft && joinsRight) {
      sizes[i - 1] += bytes + sizes[i];
      remove(i);
    } else if (joinsLeft) {
      sizes[i - 1] += bytes;
    } else if (joinsRight) {
      offsets[i] = offset;
      sizes[i] += bytes;
    } else {
      insert(i, offset, bytes);
    }
  }

  int count() {
    return count;
  }

  private void remove(int i) {
    System.arraycopy(offsets, i + 1, offsets, i, count - i - 1);
    System.arraycopy(sizes, i + 1, sizes, i, count - i - 1);
    count--;
  }

  private void insert(int i, long offset, long bytes) {
    if (count == offsets.length) {
      offsets = Arrays.copyOf(offsets, 2 * count);
      sizes = Arrays.copyOf(sizes, 2 * count);
    }
    System.arraycopy(offsets, i, offsets, i + 1, count - i);
    System.arraycopy(sizes, i, sizes, i + 1, count - i);
    offsets[i] = offset;
    sizes[i] = bytes;
    count++;
  }
}
