package dev.javelin.train.chat.jinja;

/**
 * What rendering may cost: a template is a program of a stranger's. One budget may serve several
 * renderings; one thread at a time.
 */
public final class Budget {
  private static final int DEEPEST = 400;
  private static final long STEPS = 20_000_000;
  private static final long CHARACTERS = 256L << 20;
  private static final long LIVE = 64L << 20;

  private long steps;
  private long characters;
  private int depth;

  /** A step of the program. */
  void step() {
    if (++steps > STEPS) {
      throw new TemplateException(
          0, "takes more than " + STEPS + " steps: shorten the conversation or the template");
    }
  }

  /** So many values are gone through or put into a list. */
  void steps(long count) {
    steps += Math.max(0, count - 1);
    step();
  }

  /** So many characters are written or read. */
  void characters(long count) {
    characters += count;
    if (count > LIVE || characters > CHARACTERS || characters < 0) {
      throw new TemplateException(
          0, "handles more than " + CHARACTERS + " characters: shorten the conversation");
    }
  }

  /** One text is looked for in another: at worst the product of their lengths. */
  void search(Text in, Text what) {
    characters(in.length() + (long) in.length() * what.length() / 64);
  }

  void enter() {
    if (++depth > DEEPEST) {
      depth = 0;
      throw new TemplateException(0, "nests more than " + DEEPEST + " deep");
    }
  }

  void leave() {
    depth--;
  }

  /** After an error: nothing is entered any more. */
  void reset() {
    depth = 0;
  }
}
