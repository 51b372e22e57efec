package dev.javelin.train.xray;

import java.util.ArrayDeque;
import java.util.Deque;

/**
 * HTML in the making, well-formed as XML has it: what was opened is closed in its order, and text
 * is text whatever stands in it.
 */
final class Html {
  private final StringBuilder out = new StringBuilder(1 << 16);
  private final Deque<String> open = new ArrayDeque<>();

  /** Opens an element; attributes are names and values in turn. */
  Html open(String tag, String... attributes) {
    head(tag, attributes).append('>');
    open.push(tag);
    return this;
  }

  /**
   * Closes elements, the innermost first.
   *
   * @throws IllegalStateException where one is not what was opened last
   */
  Html close(String... tags) {
    for (String tag : tags) {
      if (!tag.equals(open.peek())) {
        throw new IllegalStateException(tag + " is not what is open: " + open);
      }
      out.append("</").append(open.pop()).append('>');
    }
    return this;
  }

  /** An element with nothing but text. */
  Html leaf(String tag, String text, String... attributes) {
    return open(tag, attributes).text(text).close(tag);
  }

  /** An element with nothing in it, of SVG or of those that HTML never closes. */
  Html empty(String tag, String... attributes) {
    head(tag, attributes).append("/>");
    return this;
  }

  Html text(String text) {
    escape(text, false);
    return this;
  }

  /** Markup of the program's own. */
  Html raw(String markup) {
    out.append(markup);
    return this;
  }

  private StringBuilder head(String tag, String... attributes) {
    out.append('<').append(tag);
    for (int i = 0; i < attributes.length; i += 2) {
      out.append(' ').append(attributes[i]).append("=\"");
      escape(attributes[i + 1], true);
      out.append('"');
    }
    return out;
  }

  private void escape(String unsafe, boolean attribute) {
    String text = Legible.prose(unsafe); // no character that HTML forbids
    for (int i = 0; i < text.length(); i++) {
      char c = text.charAt(i);
      switch (c) {
        case '<' -> out.append("&lt;");
        case '>' -> out.append("&gt;");
        case '&' -> out.append("&amp;");
        case '"' -> out.append(attribute ? "&quot;" : "\"");
        default -> out.append(c);
      }
    }
  }

  /** All of it; nothing is open. */
  @Override
  public String toString() {
    if (!open.isEmpty()) {
      throw new IllegalStateException("still open: " + open);
    }
    return out.toString();
  }
}
