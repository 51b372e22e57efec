package dev.javelin.train.chat.jinja;

/**
 * What rendering may cost: a template is a program of a stranger's. One budget may serve several
 * renderings; one thread at a time.
 */
public final class Budget {
  private static final int DEEPEST = 400;
  private static final long STEPS = 1_000_000;
  private static final long STEPS_A_MESSAGE = 500;
  private static final long MOST_STEPS = 100_000_000;
  private static final long CHARACTERS = 16L << 20;
  private static final long TIMES = 64;
  private static final long MOST_CHARACTERS = 2L << 30;

  private final long mostSteps;
  private final long mostCharacters;

  private long steps;
  private long characters;
  private int depth;

  /** For one rendering of little. */
  public Budget() {
    this(0, 0, 1);
  }

  /**
   * What is fair for a conversation.
   *
   * @param characters in all its messages
   * @param renderings how often it is rendered, wholly or in part
   */
  public Budget(long messages, long characters, long renderings) {
    mostSteps = Math.min(MOST_STEPS, STEPS + STEPS_A_MESSAGE * messages * renderings);
    mostCharacters = Math.min(MOST_CHARACTERS, CHARACTERS + TIMES * characters * renderings);
  }

  /** A step of the program. */
  void step() {
    if (++steps > mostSteps) {
      throw new TemplateException(
          0, "takes more than " + mostSteps + " steps: shorten the conversation or the template");
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
    if (characters > mostCharacters || characters < 0) {
      throw new TemplateException(
          0, "handles more than " + mostCharacters + " characters: shorten the conversation");
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
