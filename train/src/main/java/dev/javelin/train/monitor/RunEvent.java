package dev.javelin.train.monitor;

import dev.javelin.tensor.io.FileFormatException;
import dev.javelin.tensor.io.Json;
import dev.javelin.tensor.io.JsonObject;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * Something that happened to a run, as it stands in a line of {@code events.jsonl}.
 *
 * @param step steps done when it happened
 * @param kind one word for programs: {@value #SPIKE}, {@value #SKIP}, {@value #ROLLBACK}, {@value
 *     #NAN}, {@value #START}, {@value #CHECKPOINT}, {@value #RESUME}, {@value #STOP}, or another
 * @param text one line for people
 */
public record RunEvent(long step, String kind, String text) {
  /** A loss or gradient norm far above the usual. */
  public static final String SPIKE = "spike";

  /** A step whose update was not applied. */
  public static final String SKIP = "skip";

  /** The run went back to a checkpoint. */
  public static final String ROLLBACK = "rollback";

  /** A number that is none, in loss, gradient or optimizer. */
  public static final String NAN = "nan";

  /** The run begins, or goes on, and is to end at a step. */
  public static final String START = "start";

  private static final Pattern END = Pattern.compile("up to step (\\d{1,18})");

  /** A checkpoint is written. */
  public static final String CHECKPOINT = "checkpoint";

  /** The run goes on from a checkpoint. */
  public static final String RESUME = "resume";

  /** The run ends before its last step. */
  public static final String STOP = "stop";

  public RunEvent {
    if (!kind.matches("[a-z][a-z0-9_-]*")) {
      throw new IllegalArgumentException("the kind of an event must be one word, got " + kind);
    }
  }

  /** The run begins behind {@code step}. */
  public static RunEvent start(long step, long end) {
    return new RunEvent(step, START, "up to step " + end);
  }

  /** The step at which the run is to end, where this is its {@value #START}; else 0. */
  public long end() {
    Matcher m = END.matcher(text);
    return kind.equals(START) && m.matches() ? Long.parseLong(m.group(1)) : 0;
  }

  String json() {
    Map<String, Object> line = new LinkedHashMap<>();
    line.put("step", step);
    line.put("kind", kind);
    line.put("text", text);
    return Json.writeCompact(line);
  }

  /**
   * Reads {@link #json}'s form.
   *
   * @throws FileFormatException where something is missing, or else than it should be
   */
  public static RunEvent of(JsonObject line) {
    if (!(line.members().get("step") instanceof Long step) || step < 0) {
      throw line.error("step", "must be a whole number, 0 or more");
    }
    try {
      return new RunEvent(step, line.text("kind"), line.text("text", ""));
    } catch (IllegalArgumentException e) {
      throw line.error("kind", "must be one word");
    }
  }
}
