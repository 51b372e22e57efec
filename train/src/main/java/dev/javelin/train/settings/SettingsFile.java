package dev.javelin.train.settings;

import dev.javelin.train.data.InputException;
import java.io.IOException;
import java.io.InputStream;
import java.nio.ByteBuffer;
import java.nio.charset.CharacterCodingException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Iterator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.function.BiPredicate;
import org.jspecify.annotations.Nullable;
import org.snakeyaml.engine.v2.api.LoadSettings;
import org.snakeyaml.engine.v2.api.lowlevel.Parse;
import org.snakeyaml.engine.v2.common.ScalarStyle;
import org.snakeyaml.engine.v2.events.DocumentStartEvent;
import org.snakeyaml.engine.v2.events.Event;
import org.snakeyaml.engine.v2.events.MappingEndEvent;
import org.snakeyaml.engine.v2.events.MappingStartEvent;
import org.snakeyaml.engine.v2.events.ScalarEvent;
import org.snakeyaml.engine.v2.events.SequenceEndEvent;
import org.snakeyaml.engine.v2.events.SequenceStartEvent;
import org.snakeyaml.engine.v2.events.StreamEndEvent;
import org.snakeyaml.engine.v2.exceptions.Mark;
import org.snakeyaml.engine.v2.exceptions.YamlEngineException;

/**
 * Settings as lines of {@code key: value}, where a value is a scalar or a list of scalars. The file
 * is read event by event: nesting, aliases and size cost nothing before they are refused.
 */
final class SettingsFile {
  private static final int MOST_BYTES = 1 << 20;

  private final Path file;
  private final Iterator<Event> events;

  private final BiPredicate<Setting, Object> several;

  private SettingsFile(Path file, Iterator<Event> events, BiPredicate<Setting, Object> several) {
    this.file = file;
    this.events = events;
    this.several = several;
  }

  /**
   * The values of a file, parsed.
   *
   * @throws InputException naming file, line and key
   */
  static Map<Setting, Object> read(Path file) {
    return read(file, (setting, value) -> false);
  }

  /**
   * The same where some settings may have several values.
   *
   * @param several takes those, and says that it did; what it throws is said with file and line
   */
  static Map<Setting, Object> read(Path file, BiPredicate<Setting, Object> several) {
    LoadSettings style = LoadSettings.builder().setLabel(file.toString()).build();
    try {
      return new SettingsFile(file, new Parse(style).parseString(text(file)).iterator(), several)
          .settings();
    } catch (YamlEngineException e) {
      String what = String.valueOf(e.getMessage()).lines().findFirst().orElse("");
      throw new InputException(file + ": not valid YAML: " + what, e);
    }
  }

  private static String text(Path file) {
    try (InputStream in = Files.newInputStream(file)) {
      byte[] bytes = in.readNBytes(MOST_BYTES + 1);
      if (bytes.length > MOST_BYTES) {
        throw new InputException(
            file + ": is larger than 1 MiB: a file of settings holds lines of the form key: value");
      }
      return StandardCharsets.UTF_8.newDecoder().decode(ByteBuffer.wrap(bytes)).toString();
    } catch (NoSuchFileException e) {
      throw new InputException(file + ": no such file: name an existing YAML file", e);
    } catch (CharacterCodingException e) {
      throw new InputException(file + ": is not UTF-8 text: save it as UTF-8", e);
    } catch (IOException e) {
      throw new InputException(file + ": cannot be read: " + e.getMessage(), e);
    }
  }

  private Map<Setting, Object> settings() {
    Map<Setting, Object> settings = new LinkedHashMap<>();
    Map<Setting, String> named = new LinkedHashMap<>();
    Event first = events.next();
    while (!(first instanceof DocumentStartEvent || first instanceof StreamEndEvent)) {
      first = events.next();
    }
    Event root = first instanceof StreamEndEvent ? first : events.next();
    boolean empty = root instanceof StreamEndEvent || root instanceof ScalarEvent s && isNull(s);
    if (!empty && !(root instanceof MappingStartEvent)) {
      throw new InputException(file + ": must hold lines of the form key: value");
    }
    while (!empty) {
      Event key = events.next();
      if (key instanceof MappingEndEvent) {
        break;
      }
      entry(key, settings, named);
    }
    while (events.hasNext()) {
      Event rest = events.next();
      if (rest instanceof DocumentStartEvent) {
        throw wrong(rest, "a second document begins here: put all settings in one");
      }
    }
    return settings;
  }

  private void entry(Event event, Map<Setting, Object> settings, Map<Setting, String> named) {
    if (!(event instanceof ScalarEvent scalar)) {
      throw wrong(event, "a key must be the name of a setting");
    }
    String key = scalar.getValue();
    Object value = value(key);
    String half = Names.snake(key);
    boolean precision = half.equals("bf16") || half.equals("fp16");
    Setting setting = Setting.named(precision ? "precision" : key);
    if (setting == null) {
      throw wrong(
          event,
          "unknown key "
              + key
              + Names.nearest(Names.snake(key), Setting.names())
                  .map(n -> ": did you mean " + n + "?")
                  .orElse(": javelin train --help lists the known ones"));
    }
    if (value == null || precision && !value.equals("true")) {
      return;
    }
    String before = named.putIfAbsent(setting, key);
    if (isSeveral(event, setting, value)) {
      if (before != null) {
        throw wrong(event, key + " is given twice");
      }
      return;
    }
    Object parsed = parsed(event, setting, precision ? half : value);
    if (before != null && !parsed.equals(settings.get(setting))) {
      throw wrong(
          event,
          before.equals(key)
              ? key + " is given twice"
              : key + " and " + before + " are one setting and differ: give one of them");
    }
    if (!(parsed instanceof List<?> list && list.isEmpty())) {
      settings.put(setting, parsed);
    }
  }

  private boolean isSeveral(Event at, Setting setting, Object value) {
    try {
      return several.test(setting, value);
    } catch (InputException e) {
      throw wrong(at, String.valueOf(e.getMessage()));
    }
  }

  private Object parsed(Event at, Setting setting, Object value) {
    try {
      return setting.parse(value);
    } catch (InputException e) {
      throw wrong(at, String.valueOf(e.getMessage()));
    }
  }

  /** Text, a list of texts, or {@code null}. */
  private @Nullable Object value(String key) {
    Event event = events.next();
    if (event instanceof ScalarEvent scalar) {
      return isNull(scalar) ? null : text(scalar);
    }
    if (!(event instanceof SequenceStartEvent)) {
      throw wrong(
          event,
          key
              + (event instanceof MappingStartEvent
                  ? " must be a single value or a list, got a table"
                  : " must be a plain value: aliases are not supported"));
    }
    List<String> values = new ArrayList<>();
    while (true) {
      Event element = events.next();
      if (element instanceof SequenceEndEvent) {
        return values;
      }
      if (!(element instanceof ScalarEvent scalar) || isNull(scalar)) {
        throw wrong(element, key + " must be a list of single values");
      }
      values.add(text(scalar));
    }
  }

  private static boolean isNull(ScalarEvent scalar) {
    return scalar.getScalarStyle() == ScalarStyle.PLAIN
        && (scalar.getValue().isEmpty() || scalar.getValue().equals("null"));
  }

  /** YAML has spellings of its own for what is no finite number. */
  private static String text(ScalarEvent scalar) {
    return scalar.getScalarStyle() != ScalarStyle.PLAIN
        ? scalar.getValue()
        : switch (scalar.getValue()) {
          case ".inf" -> "Infinity";
          case "-.inf" -> "-Infinity";
          case ".nan" -> "NaN";
          default -> scalar.getValue();
        };
  }

  private InputException wrong(Event at, String what) {
    int line = at.getStartMark().map(Mark::getLine).orElse(0) + 1;
    return new InputException(file + ": line " + line + ": " + what);
  }
}
