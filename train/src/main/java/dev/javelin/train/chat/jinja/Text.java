package dev.javelin.train.chat.jinja;

import java.util.Arrays;
import java.util.BitSet;

/**
 * Characters that know where they came from. Equal where the characters are, whatever their marks.
 */
public final class Text {
  /** Came from what was given to the template, not from the template. */
  public static final byte DATA = 1;

  /** Stands in a generation block. */
  public static final byte GENERATED = 2;

  private static final byte[] PLAIN = {};

  static final Text EMPTY = of("");

  private final String string;

  /** By character; empty where none has a mark. */
  private final byte[] marks;

  Text(String string, byte[] marks) {
    this.string = string;
    this.marks = marks;
  }

  /** What the template itself writes. */
  public static Text of(String string) {
    return new Text(string, PLAIN);
  }

  /** What is given to it. */
  public static Text data(String string) {
    return of(string).with(DATA);
  }

  /** With one more mark on every character. */
  Text with(byte mark) {
    if (mark == 0 || string.isEmpty()) {
      return this;
    }
    byte[] more = marks.length == 0 ? new byte[string.length()] : marks.clone();
    for (int i = 0; i < more.length; i++) {
      more[i] |= mark;
    }
    return new Text(string, more);
  }

  int length() {
    return string.length();
  }

  boolean isEmpty() {
    return string.isEmpty();
  }

  byte mark(int at) {
    return marks.length == 0 ? 0 : marks[at];
  }

  /** All marks that any character has. */
  byte anyMark() {
    byte any = 0;
    for (byte mark : marks) {
      any |= mark;
    }
    return any;
  }

  Text part(int from, int to) {
    if (from == 0 && to == string.length()) {
      return this;
    }
    return new Text(
        string.substring(from, to),
        marks.length == 0 ? PLAIN : Arrays.copyOfRange(marks, from, to));
  }

  /**
   * Another spelling of this text: with its marks where the length is the same, else with all of
   * them everywhere.
   */
  Text respelled(String other) {
    return other.length() == string.length() ? new Text(other, marks) : of(other).with(anyMark());
  }

  /** Where characters with a mark stand. */
  public BitSet marked(byte mark) {
    BitSet set = new BitSet(marks.length);
    for (int i = 0; i < marks.length; i++) {
      if ((marks[i] & mark) != 0) {
        set.set(i);
      }
    }
    return set;
  }

  @Override
  public boolean equals(Object other) {
    return other instanceof Text text && text.string.equals(string);
  }

  @Override
  public int hashCode() {
    return string.hashCode();
  }

  @Override
  public String toString() {
    return string;
  }

  /** Texts one behind the other. */
  static final class Builder {
    private final Budget budget;
    private final StringBuilder string = new StringBuilder();
    private byte[] marks = PLAIN;

    Builder(Budget budget) {
      this.budget = budget;
    }

    Builder add(Text text) {
      budget.characters(text.length());
      int at = string.length();
      string.append(text.string);
      if (text.marks.length > 0) {
        fit();
        System.arraycopy(text.marks, 0, marks, at, text.marks.length);
      } else if (marks.length > 0) {
        fit();
      }
      return this;
    }

    Builder add(String plain) {
      budget.characters(plain.length());
      string.append(plain);
      if (marks.length > 0) {
        fit();
      }
      return this;
    }

    private void fit() {
      if (marks.length < string.length()) {
        marks = Arrays.copyOf(marks, Math.max(64, string.length() + string.length() / 2));
      }
    }

    Text build() {
      return new Text(
          string.toString(), marks.length == 0 ? PLAIN : Arrays.copyOf(marks, string.length()));
    }
  }
}
