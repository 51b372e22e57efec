package dev.javelin.train.data;

import java.util.Arrays;
import java.util.BitSet;
import java.util.function.IntUnaryOperator;

/**
 * Things of 1 … T tokens put into rows of T: the longest first, each into the fullest row that has
 * room for it, else into a new one; of equally long things and equally full rows the first. Needs
 * at most about 11/9 of the rows that are needed.
 *
 * @param order the things, row by row, in a row as they came
 * @param ends where in {@code order} each row ends; rows by their first thing
 * @see <a href="https://doi.org/10.1137/0203025">Johnson et al. 1974, worst-case performance
 *     bounds</a>
 */
record BestFit(int[] order, int[] ends) {

  /**
   * @param count of things
   * @param length of each, 1 … {@code capacity}
   */
  static BestFit of(int count, IntUnaryOperator length, int capacity) {
    int[] row = new int[count]; // of each thing
    int[] next = new int[count]; // row with the same room, behind this one
    int[] head = new int[capacity + 1]; // first row with so much room
    Arrays.fill(head, -1);
    BitSet rooms = new BitSet(capacity + 1); // that some row has
    int rows = 0;
    for (int thing : longestFirst(count, length, capacity)) {
      int size = length.applyAsInt(thing);
      int room = rooms.nextSetBit(size);
      int into;
      if (room < 0) {
        room = capacity;
        into = rows++;
      } else {
        into = head[room];
        head[room] = next[into];
        rooms.set(room, head[room] >= 0);
      }
      row[thing] = into;
      next[into] = head[room - size];
      head[room - size] = into;
      rooms.set(room - size);
    }
    return inOrder(row, rows);
  }

  /** All things by length, the first of equally long ones first. */
  private static int[] longestFirst(int count, IntUnaryOperator length, int capacity) {
    int[] at = new int[capacity + 2];
    for (int i = 0; i < count; i++) {
      at[capacity - length.applyAsInt(i) + 1]++;
    }
    for (int i = 1; i < at.length; i++) {
      at[i] += at[i - 1];
    }
    int[] sorted = new int[count];
    for (int i = 0; i < count; i++) {
      sorted[at[capacity - length.applyAsInt(i)]++] = i;
    }
    return sorted;
  }

  /** Numbers rows by their first thing and lists the things of each. */
  private static BestFit inOrder(int[] row, int rows) {
    int[] number = new int[rows];
    Arrays.fill(number, -1);
    int[] ends = new int[rows];
    int seen = 0;
    for (int i = 0; i < row.length; i++) {
      if (number[row[i]] < 0) {
        number[row[i]] = seen++;
      }
      row[i] = number[row[i]];
      ends[row[i]]++;
    }
    int[] at = new int[rows];
    for (int r = 1; r < rows; r++) {
      ends[r] += ends[r - 1];
      at[r] = ends[r - 1];
    }
    int[] order = new int[row.length];
    for (int i = 0; i < row.length; i++) {
      order[at[row[i]]++] = i;
    }
    return new BestFit(order, ends);
  }

  int rows() {
    return ends.length;
  }

  /** Where in {@link #order} a row begins. */
  int begin(int row) {
    return row == 0 ? 0 : ends[row - 1];
  }
}
