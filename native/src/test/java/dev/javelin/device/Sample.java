package dev.javelin.device;

import java.util.ArrayList;
import java.util.List;
import java.util.SplittableRandom;
import org.opentest4j.TestAbortedException;

/**
 * One case of a sweep that is too long for every build, drawn in each build anew. The seed is
 * printed, and a failure says how to draw the same again: {@code -Djavelin.seed}.
 */
public record Sample<T>(T value, String sweep, int cases, long seed) {
  private static final String PROPERTY = "javelin.seed";

  /** What is tested of a case. */
  public interface Check<T> {
    void run(T value) throws Exception;
  }

  /** By the clock unless it is given. */
  private static final long SEED = Long.getLong(PROPERTY, System.currentTimeMillis());

  /** {@code count} different cases of a sweep; each sweep has its own draw of one seed. */
  public static <T> List<Sample<T>> of(String sweep, List<T> cases, int count) {
    List<Sample<T>> drawn = of(sweep, cases, count, SEED);
    System.out.printf(
        "%d of %d cases of \"%s\", drawn with -D%s=%d: %s%n",
        drawn.size(), cases.size(), sweep, PROPERTY, SEED, drawn);
    return drawn;
  }

  static <T> List<Sample<T>> of(String sweep, List<T> cases, int count, long seed) {
    var random = new SplittableRandom(seed + 31L * sweep.hashCode());
    List<T> left = new ArrayList<>(cases);
    List<Sample<T>> drawn = new ArrayList<>();
    while (drawn.size() < count && !left.isEmpty()) {
      drawn.add(new Sample<>(left.remove(random.nextInt(left.size())), sweep, cases.size(), seed));
    }
    return drawn;
  }

  /** Runs a test of this case. */
  public void check(Check<T> test) {
    try {
      test.run(value);
    } catch (TestAbortedException e) {
      throw e; // an assumption that does not hold here
    } catch (Exception | AssertionError e) {
      throw new AssertionError(
          "%s, one of %d cases of \"%s\": draw it again with -D%s=%d, run them all with -Djavelin.long\n%s"
              .formatted(value, cases, sweep, PROPERTY, seed, e.getMessage()),
          e);
    }
  }

  @Override
  public String toString() {
    return value.toString();
  }
}
