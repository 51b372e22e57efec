package dev.javelin.train.chat;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Map;

/** Where examples come from, {@code chats.jsonl line 7}, in eight bytes each. */
final class PlaceNames {
  private static final int NO_NUMBER = -1;

  private final Map<String, Integer> known = new HashMap<>();
  private final List<String> beginnings = new ArrayList<>();
  private int[] beginning = new int[16];
  private int[] number = new int[16];
  private int size;

  void add(String name) {
    int space = name.lastIndexOf(' ');
    String digits = name.substring(space + 1);
    boolean numbered = space >= 0 && digits.matches("[1-9]\\d{0,8}");
    String start = numbered ? name.substring(0, space + 1) : name;
    if (size == number.length) {
      beginning = Arrays.copyOf(beginning, 2 * size);
      number = Arrays.copyOf(number, 2 * size);
    }
    beginning[size] =
        known.computeIfAbsent(
            start,
            added -> {
              beginnings.add(added);
              return beginnings.size() - 1;
            });
    number[size++] = numbered ? Integer.parseInt(digits) : NO_NUMBER;
  }

  String get(long index) {
    int at = Math.toIntExact(index);
    String start = beginnings.get(beginning[at]);
    return number[at] == NO_NUMBER ? start : start + number[at];
  }
}
