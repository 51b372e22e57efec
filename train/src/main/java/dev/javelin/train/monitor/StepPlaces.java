package dev.javelin.train.monitor;

import dev.javelin.tensor.io.JsonObject;
import java.util.ArrayList;
import java.util.List;

/**
 * Which places of the stream of rows the steps of a run have read: stretches of steps, each of
 * which reads on where the step before ended. A run that is resumed, goes back to a checkpoint, or
 * changes the size of its batches begins another stretch, which replaces what earlier ones say of
 * its steps.
 */
public record StepPlaces(List<Stretch> stretches) {
  private static final long MOST = 1L << 48;

  public StepPlaces {
    stretches = List.copyOf(stretches);
  }

  /**
   * Step {@code step + k} reads the {@code rows} rows from place {@code place + k · rows} on.
   *
   * @param step the first of the stretch, from 1 on
   * @param before the last step that was done in the stretch before; 0 where that is not known
   */
  public record Stretch(long step, long place, int rows, long before) {

    Reading of(long number) {
      return new Reading(number, place + (number - step) * rows, rows);
    }

    String json() {
      String undone = before == 0 ? "" : ",\"before\":" + before;
      return "{\"step\":%d,\"place\":%d,\"rows\":%d%s}".formatted(step, place, rows, undone);
    }

    /** Reads {@link #json}'s form. */
    static Stretch of(JsonObject line) {
      return new Stretch(
          whole(line, "step", 1),
          whole(line, "place", 0),
          line.integer("rows", 1, Integer.MAX_VALUE),
          line.has("before") ? whole(line, "before", 0) : 0);
    }

    private static long whole(JsonObject line, String key, long least) {
      if (line.members().get(key) instanceof Long value && value >= least && value <= MOST) {
        return value;
      }
      throw line.error(key, "must be a whole number, " + least + " or more");
    }
  }

  /** What a step has read: the rows at places {@code [place, place + rows)}. */
  public record Reading(long step, long place, int rows) {}

  /**
   * What step {@code number} has read, each time that the run is known to have done it, the last
   * time at the end: that is the one that counts. A step that was undone by a roll-back and done
   * again has two.
   *
   * @param number of the step, from 1 on
   * @return empty where no stretch holds it; steps that are still to come are not told apart
   */
  public List<Reading> of(long number) {
    List<Reading> all = new ArrayList<>();
    int counts = -1;
    for (int i = 0; i < stretches.size(); i++) {
      counts = stretches.get(i).step <= number ? i : counts;
    }
    for (int i = 0; i <= counts; i++) {
      Stretch s = stretches.get(i);
      if (i == counts || s.step <= number && number <= stretches.get(i + 1).before) {
        all.add(s.of(number));
      }
    }
    return all;
  }
}
