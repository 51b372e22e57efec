package dev.javelin.train.tokenizer;

import java.util.Arrays;

/** A binary heap of {@code long}, the smallest first. */
final class LongHeap {
  private long[] items;
  private int size;

  LongHeap(int expected) {
    items = new long[Math.max(4, expected)];
  }

  boolean isEmpty() {
    return size == 0;
  }

  void offer(long item) {
    if (size == items.length) {
      items = Arrays.copyOf(items, 2 * size);
    }
    int i = size++;
    while (i > 0 && items[(i - 1) / 2] > item) {
      items[i] = items[(i - 1) / 2];
      i = (i - 1) / 2;
    }
    items[i] = item;
  }

  long poll() {
    long top = items[0];
    long item = items[--size];
    int i = 0;
    for (int child = 1; child < size; child = 2 * i + 1) {
      if (child + 1 < size && items[child + 1] < items[child]) {
        child++;
      }
      if (items[child] >= item) {
        break;
      }
      items[i] = items[child];
      i = child;
    }
    items[i] = item;
    return top;
  }
}
