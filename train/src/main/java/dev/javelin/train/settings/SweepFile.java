package dev.javelin.train.settings;

import dev.javelin.train.data.InputException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.function.BiConsumer;
import java.util.function.Predicate;

/** A file of settings some of which have several values. */
public final class SweepFile {
  private SweepFile() {}

  /**
   * Reads a file that is one of settings but for lists of values.
   *
   * @param range whether a text in the place of a value stands for a range of values
   * @param axes takes each setting with several values: those, parsed, or the text of a range
   * @return the settings with one value
   * @throws InputException naming file, line and key
   */
  public static RunSettings read(
      Path file, Predicate<String> range, BiConsumer<Setting, List<Object>> axes) {
    return RunSettings.DEFAULT.withParsed(
        SettingsFile.read(
            file,
            (setting, value) -> {
              if (setting.isList()) {
                return false;
              }
              List<Object> parsed = new ArrayList<>();
              if (value instanceof List<?> list) {
                if (list.isEmpty()) {
                  throw new InputException(setting.flag() + " has no values");
                }
                for (Object one : list) {
                  parsed.add(setting.parse(String.valueOf(one)));
                }
              } else if (range.test(String.valueOf(value))) {
                parsed.add(value);
              } else {
                return false;
              }
              axes.accept(setting, parsed);
              return true;
            }));
  }
}
