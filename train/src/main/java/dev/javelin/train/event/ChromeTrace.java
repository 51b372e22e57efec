package dev.javelin.train.event;

import dev.javelin.tensor.io.AtomicFile;
import dev.javelin.tensor.io.Json;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.TreeMap;
import jdk.jfr.Recording;
import jdk.jfr.consumer.RecordedEvent;
import jdk.jfr.consumer.RecordedThread;
import jdk.jfr.consumer.RecordingFile;

/**
 * What happens between its making and {@link #write}, with every operator, as a file for {@code
 * chrome://tracing} and Perfetto: complete events ({@code "ph":"X"}) with times in microseconds. It
 * is what Flight Recorder has seen, garbage collections included, in another form.
 *
 * @see <a
 *     href="https://docs.google.com/document/d/1CvAClvFfyA5R-PhYUmn5OOQtYMH4h6I0nSsKchNAySU">Trace
 *     Event Format</a>
 */
public final class ChromeTrace implements AutoCloseable {
  private static final String OURS = "javelin.";
  private static final List<String> EVENTS =
      List.of(
          OURS + "Step",
          OURS + "Phase",
          OURS + "Op",
          OURS + "Evaluation",
          OURS + "Checkpoint",
          OURS + "Spike",
          "jdk.GarbageCollection");

  private final Recording recording = new Recording();

  /** Begins to record. */
  public ChromeTrace() {
    EVENTS.forEach(event -> recording.enable(event).withoutStackTrace());
    recording.start();
  }

  /** Ends the recording, and writes what has been recorded. */
  public void write(Path file) throws IOException {
    recording.stop();
    Path recorded = Files.createTempFile("javelin", ".jfr");
    try {
      recording.dump(recorded);
      AtomicFile.write(file, Json.writeCompact(trace(RecordingFile.readAllEvents(recorded))));
    } finally {
      Files.deleteIfExists(recorded);
    }
  }

  private static Map<String, Object> trace(List<RecordedEvent> events) {
    List<RecordedEvent> ours = new ArrayList<>(events);
    ours.removeIf(e -> !EVENTS.contains(e.getEventType().getName()));
    ours.sort((a, b) -> a.getStartTime().compareTo(b.getStartTime()));
    List<Map<String, Object>> all = new ArrayList<>();
    Map<Long, String> threads = new TreeMap<>();
    for (RecordedEvent e : ours) {
      RecordedThread thread = e.getThread();
      long id = thread == null ? 0 : thread.getId();
      String name = thread == null ? null : thread.getJavaName();
      threads.put(id, name == null ? "virtual machine" : name);
      all.add(complete(e, id, ours.getFirst().getStartTime()));
    }
    threads.forEach(
        (id, name) ->
            all.add(
                ordered(
                    "name",
                    "thread_name",
                    "ph",
                    "M",
                    "pid",
                    1,
                    "tid",
                    id,
                    "args",
                    ordered("name", name))));
    return ordered("traceEvents", all, "displayTimeUnit", "ms");
  }

  private static Map<String, Object> complete(RecordedEvent e, long thread, Instant begin) {
    String type = e.getEventType().getName();
    String kind = type.startsWith(OURS) ? type.substring(OURS.length()) : "gc";
    return ordered(
        "name",
        e.hasField("name") ? e.getString("name") : e.getEventType().getLabel(),
        "cat",
        kind.toLowerCase(Locale.ROOT),
        "ph",
        "X",
        "ts",
        micros(Duration.between(begin, e.getStartTime())),
        "dur",
        micros(e.getDuration()),
        "pid",
        1,
        "tid",
        thread,
        "args",
        arguments(e));
  }

  private static Map<String, Object> arguments(RecordedEvent e) {
    Map<String, Object> arguments = new LinkedHashMap<>();
    for (var field : e.getFields()) {
      Object value = e.getValue(field.getName());
      boolean own = e.getEventType().getName().startsWith(OURS) && !field.getName().equals("name");
      if (own && (value instanceof String || value instanceof Long)) {
        arguments.put(field.getName(), value);
      } else if (own && value instanceof Double number && Double.isFinite(number)) {
        arguments.put(field.getName(), value);
      }
    }
    arguments.remove("startTime");
    arguments.remove("duration");
    return arguments;
  }

  private static double micros(Duration d) {
    return d.toNanos() / 1e3;
  }

  private static Map<String, Object> ordered(Object... pairs) {
    Map<String, Object> map = new LinkedHashMap<>();
    for (int i = 0; i < pairs.length; i += 2) {
      map.put((String) pairs[i], pairs[i + 1]);
    }
    return map;
  }

  @Override
  public void close() {
    recording.close();
  }
}
