package dev.javelin.train.report;

import dev.javelin.tensor.io.Json;
import dev.javelin.tensor.io.JsonObject;
import dev.javelin.train.data.InputException;
import dev.javelin.train.monitor.RunEvent;
import dev.javelin.train.report.ReportPage.State;
import dev.javelin.train.settings.RunSettings;
import dev.javelin.train.settings.Setting;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.SequencedMap;
import java.util.TreeMap;
import org.jspecify.annotations.Nullable;

/**
 * What can be told of a run by the files in its directory: {@code metrics.jsonl}, {@code
 * events.jsonl}, {@code texts.jsonl}, {@code health.jsonl} and {@code config.yaml}. Whatever number
 * stands in a line of metrics becomes a curve. It reads on from where it was, and takes bounded
 * memory, however long the run: curves in buckets ({@link Curve}), the newest events, samples of
 * text thinned out.
 *
 * <p>A line whose step is not behind the last one's says that the run went back; what it had done
 * since is forgotten.
 */
public final class RunHistory {
  /** Curves of a run; keys beyond are left out. */
  static final int MOST_CURVES = 256;

  static final int MOST_EVENTS = 400;
  static final int MOST_SAMPLES = 40;
  private static final int MOST_LAYERS = 2000;
  private static final int MOST_BINS = 64;
  private static final List<String> OF_LAYERS =
      List.of("update_ratio", "still", "zero_gradient", "underflow");
  private static final int LONGEST_TEXT = 4000;
  private static final int LONGEST_KEY = 100;
  private static final int LONGEST_LINE = 300;

  private final Path directory;
  private final String name;
  private LineTail metrics;
  private LineTail events;
  private LineTail samples;
  private LineTail health;
  private final SequencedMap<String, Curve> curves = new LinkedHashMap<>();
  private final List<RunEvent> recent = new ArrayList<>();
  private final Map<String, Integer> counts = new TreeMap<>();
  private final List<Sample> texts = new ArrayList<>();
  private int sampleStride = 1;
  private int samplesPassed;
  private List<String> layers = List.of();
  private final SequencedMap<String, Object> reading = new LinkedHashMap<>(); // of the layers
  private long step;
  private long steps;

  /** A text that the model wrote. */
  record Sample(long step, String prompt, String text) {}

  /**
   * @param directory of the run
   * @param name that it is to have on a page
   */
  public RunHistory(Path directory, String name) {
    this.directory = directory;
    this.name = name;
    metrics = tail("metrics.jsonl");
    events = tail("events.jsonl");
    samples = tail("texts.jsonl");
    health = tail("health.jsonl");
  }

  /** The same by the name of the directory. */
  public static RunHistory of(Path directory) {
    Path last = directory.toAbsolutePath().normalize().getFileName();
    return new RunHistory(directory, last == null ? directory.toString() : last.toString());
  }

  private LineTail tail(String file) {
    return new LineTail(directory.resolve(file));
  }

  /**
   * Reads what the files hold by now.
   *
   * @throws IOException where one cannot be read
   */
  public RunHistory refresh() throws IOException {
    if (metrics.isReplaced()
        || events.isReplaced()
        || samples.isReplaced()
        || health.isReplaced()) {
      metrics = tail("metrics.jsonl");
      events = tail("events.jsonl");
      samples = tail("texts.jsonl");
      health = tail("health.jsonl");
      reading.clear();
      curves.clear();
      recent.clear();
      counts.clear();
      texts.clear();
      sampleStride = 1;
      samplesPassed = 0;
      step = 0;
    }
    events.read(this::event);
    metrics.read(this::metrics);
    samples.read(this::sample);
    health.read(this::health);
    return this;
  }

  private void metrics(JsonObject line) {
    if (!(line.members().get("step") instanceof Long at) || at < 0) {
      return;
    }
    if (at <= step) {
      curves.values().forEach(curve -> curve.cutBehind(at - 1));
    }
    step = at;
    line.members()
        .forEach(
            (key, value) -> {
              if (value instanceof Number number
                  && !key.equals("step")
                  && Double.isFinite(number.doubleValue())
                  && key.length() <= LONGEST_KEY
                  && (curves.containsKey(key) || curves.size() < MOST_CURVES)) {
                curves.computeIfAbsent(key, _ -> new Curve()).add(at, number.doubleValue());
              }
            });
  }

  private void event(JsonObject line) {
    RunEvent event = RunEvent.of(line);
    if (event.end() > 0) {
      steps = event.end();
      return;
    }
    if (event.kind().length() > LONGEST_KEY
        || counts.size() == MOST_CURVES && !counts.containsKey(event.kind())) {
      return;
    }
    counts.merge(event.kind(), 1, Integer::sum);
    recent.add(new RunEvent(event.step(), event.kind(), brief(event.text(), LONGEST_LINE)));
    if (recent.size() > MOST_EVENTS) {
      recent.removeFirst();
    }
  }

  private void sample(JsonObject line) {
    if (!(line.members().get("step") instanceof Long at)
        || !(line.members().get("text") instanceof String text)) {
      return;
    }
    texts.removeIf(s -> s.step >= at);
    Object prompt = line.members().get("prompt");
    Sample sample =
        new Sample(
            at,
            prompt instanceof String s ? brief(s, LONGEST_TEXT) : "",
            brief(text, LONGEST_TEXT));
    // The newest always; of the others every stride-th.
    if (texts.size() > 1 && samplesPassed++ % sampleStride != 0) {
      texts.set(texts.size() - 1, sample);
    } else {
      texts.add(sample);
    }
    if (texts.size() > MOST_SAMPLES) {
      for (int i = texts.size() - 2; i > 0; i -= 2) {
        texts.remove(i);
      }
      sampleStride *= 2;
    }
  }

  /** Only the newest reading is shown; its numbers over the steps are metrics. */
  private void health(JsonObject line) {
    if (line.members().get("layers") instanceof List<?> names && names.size() <= MOST_LAYERS) {
      layers = names.stream().map(n -> brief(String.valueOf(n), LONGEST_KEY)).toList();
    }
    if (!(line.members().get("step") instanceof Long at)) {
      return;
    }
    reading.clear();
    reading.put("step", at);
    reading.put("names", layers);
    for (String key : OF_LAYERS) {
      reading.put(key, numbers(line, key, layers.size(), layers.size()));
    }
    reading.put("ratios", numbers(line, "ratios", 0, MOST_BINS));
  }

  private static List<?> numbers(JsonObject line, String key, int least, int most) {
    return line.members().get(key) instanceof List<?> list
            && list.size() >= least
            && list.size() <= most
            && list.stream().allMatch(v -> v == null || v instanceof Number)
        ? list
        : List.of();
  }

  private static String brief(String text, int most) {
    if (text.length() <= most) {
      return text;
    }
    int end = Character.isHighSurrogate(text.charAt(most - 2)) ? most - 2 : most - 1;
    return text.substring(0, end) + "…";
  }

  public String name() {
    return name;
  }

  /** Of the last line of metrics; 0 where there is none. */
  public long step() {
    return step;
  }

  /** Steps of the whole run; 0 where that is not known. */
  public long steps() {
    return steps;
  }

  /** Whether there is anything to show. */
  public boolean isEmpty() {
    return curves.isEmpty() && recent.isEmpty() && texts.isEmpty();
  }

  /** A number of the run, {@code null} where no line has it. */
  public @Nullable Double last(String key) {
    Curve curve = curves.get(key);
    return curve == null || curve.isEmpty() ? null : curve.last();
  }

  /** The least value that a number of the run had; {@code null} where no line has it. */
  public @Nullable Double least(String key) {
    Curve curve = curves.get(key);
    return curve == null || curve.isEmpty() ? null : curve.leastOfAll();
  }

  /** The mean of a number of the run; {@code null} where no line has it. */
  public @Nullable Double mean(String key) {
    Curve curve = curves.get(key);
    return curve == null || curve.isEmpty() ? null : curve.meanOfAll();
  }

  /**
   * How the run stands.
   *
   * @param held whether it holds its directory
   */
  public State state(boolean held) {
    return held ? State.RUNNING : steps > 0 && step >= steps ? State.FINISHED : State.STOPPED;
  }

  SequencedMap<String, Curve> curves() {
    return curves;
  }

  /**
   * What the run was told, as YAML shows it, by key; what was left open is left out. Nothing where
   * the file is not there or cannot be read.
   */
  public SequencedMap<String, String> settings() {
    SequencedMap<String, String> told = new LinkedHashMap<>();
    Path file = directory.resolve("config.yaml");
    if (Files.isRegularFile(file)) {
      try {
        RunSettings settings = RunSettings.DEFAULT.with(file);
        for (Setting setting : Setting.all()) {
          Object value = setting.plain(settings);
          if (value != null) {
            told.put(setting.key(), value.toString());
          }
        }
      } catch (InputException ofAnotherVersion) {
        told.clear();
      }
    }
    return told;
  }

  /** What a page reads; see {@code report.js}. */
  void json(StringBuilder out, String state) {
    out.append("{\"name\":").append(Json.writeCompact(name));
    out.append(",\"state\":").append(Json.writeCompact(state));
    out.append(",\"step\":").append(step).append(",\"steps\":").append(steps);
    out.append(",\"curves\":{");
    String before = "";
    for (Map.Entry<String, Curve> curve : curves.entrySet()) {
      if (!curve.getValue().isEmpty()) {
        out.append(before).append(Json.writeCompact(curve.getKey())).append(':');
        curve.getValue().json(out);
        before = ",";
      }
    }
    out.append("},\"counts\":").append(Json.writeCompact(counts)).append(",\"events\":");
    out.append(
        Json.writeCompact(
            recent.stream().map(e -> List.of(e.step(), e.kind(), e.text())).toList()));
    out.append(",\"samples\":");
    out.append(
        Json.writeCompact(texts.stream().map(s -> List.of(s.step, s.prompt, s.text)).toList()));
    out.append(",\"layers\":").append(Json.writeCompact(reading));
    Map<String, String> standard = standard();
    out.append(",\"settings\":");
    out.append(
        Json.writeCompact(
            settings().entrySet().stream()
                .map(
                    s ->
                        List.of(
                            s.getKey(),
                            s.getValue(),
                            s.getValue().equals(standard.get(s.getKey()))))
                .toList()));
    out.append('}');
  }

  private static Map<String, String> standard() {
    Map<String, String> values = new LinkedHashMap<>();
    for (Setting setting : Setting.all()) {
      values.put(setting.key(), String.valueOf(setting.plain(RunSettings.DEFAULT)));
    }
    return values;
  }
}
