package dev.javelin.tensor.io;

/**
 * A number as its file writes it, so that writing it again changes no character: {@code 1e-05}
 * stays {@code 1e-05}, and an integer beyond 64 bits keeps its digits. Equal where the texts are.
 */
public final class JsonNumber extends Number {
  private static final long serialVersionUID = 1;

  private final String text;
  private final boolean isInteger;

  JsonNumber(String text, boolean isInteger) {
    this.text = text;
    this.isInteger = isInteger;
  }

  /** Whether it is written without fraction and exponent and fits into a long. */
  public boolean isLong() {
    return isInteger && JsonParser.fitsLong(text);
  }

  @Override
  public double doubleValue() {
    return Double.parseDouble(text);
  }

  @Override
  public float floatValue() {
    return Float.parseFloat(text);
  }

  /** Exact where {@link #isLong()}, otherwise as a cast from {@link #doubleValue()}. */
  @Override
  public long longValue() {
    return isLong() ? Long.parseLong(text) : (long) doubleValue();
  }

  @Override
  public int intValue() {
    return (int) longValue();
  }

  @Override
  public boolean equals(Object o) {
    return o instanceof JsonNumber n && n.text.equals(text);
  }

  @Override
  public int hashCode() {
    return text.hashCode();
  }

  /** The text in the file. */
  @Override
  public String toString() {
    return text;
  }
}
