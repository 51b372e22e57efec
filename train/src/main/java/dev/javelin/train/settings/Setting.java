package dev.javelin.train.settings;

import dev.javelin.train.data.InputException;
import java.lang.reflect.ParameterizedType;
import java.lang.reflect.RecordComponent;
import java.util.ArrayList;
import java.util.Collection;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import org.jspecify.annotations.Nullable;

/**
 * One of the settings of a run: a component of one of the records in {@link RunSettings}. What the
 * command line and YAML files know of settings comes from here, and so from the records.
 *
 * @param key its name in snake_case, as in YAML
 * @param aliases further names, in snake_case
 * @param spec the component of {@link RunSettings} that it belongs to
 * @param component its place there
 */
public record Setting(
    String key, List<String> aliases, RecordComponent spec, RecordComponent component) {
  private static final Map<String, Setting> BY_NAME = new LinkedHashMap<>();

  static {
    for (RecordComponent spec : RunSettings.class.getRecordComponents()) {
      for (RecordComponent component : spec.getType().getRecordComponents()) {
        Also also = component.getAnnotation(Also.class);
        String key = Names.snakeOfCamel(component.getName());
        List<String> aliases = also == null ? List.of() : List.of(also.value());
        Setting setting = new Setting(key, aliases, spec, component);
        BY_NAME.put(key, setting);
        aliases.forEach(alias -> BY_NAME.put(alias, setting));
      }
    }
  }

  /** All of them, in the order of the records. */
  public static List<Setting> all() {
    return BY_NAME.values().stream().distinct().toList();
  }

  /** Every key and alias, in snake_case. */
  public static Collection<String> names() {
    return List.copyOf(BY_NAME.keySet());
  }

  /** The setting of that name, in whatever spelling; {@code null} where there is none. */
  public static @Nullable Setting named(String name) {
    return BY_NAME.get(Names.snake(name));
  }

  /** {@code --max-steps} for {@code max_steps}. */
  public String flag() {
    return "--" + Names.kebab(key);
  }

  /** Whether it takes several values. */
  public boolean isList() {
    return component.getType() == List.class;
  }

  /** Whether it is true or false. */
  public boolean isSwitch() {
    return component.getType() == boolean.class;
  }

  /** Its value; {@code null} where it is left open. */
  public @Nullable Object of(RunSettings settings) {
    Record record =
        (Record) Objects.requireNonNull(Components.value(settings, spec), "specs are never null");
    return Components.value(record, component);
  }

  /** Its value as YAML shows it, {@code null} where it is left open or an empty list. */
  public @Nullable Object plain(RunSettings settings) {
    return Values.plain(of(settings));
  }

  /**
   * A value of the setting's type.
   *
   * @param value text, a number, a list of them, or the value itself
   * @throws InputException naming the flag where it is not of that type
   */
  Object parse(Object value) {
    try {
      if (!isList()) {
        if (value instanceof Collection) {
          throw new InputException("must be a single value, got a list");
        }
        return Values.parse(component.getType(), value);
      }
      Class<?> element =
          (Class<?>) ((ParameterizedType) component.getGenericType()).getActualTypeArguments()[0];
      List<Object> values = new ArrayList<>();
      for (Object one : value instanceof Collection<?> several ? several : List.of(value)) {
        boolean numbers = element == Integer.class && one instanceof String; // 0,100,1000
        for (Object part : numbers ? List.of(((String) one).split(",", -1)) : List.of(one)) {
          values.add(Values.parse(element, part));
        }
      }
      return values;
    } catch (InputException e) {
      throw new InputException(flag() + " " + e.getMessage(), e);
    }
  }
}
