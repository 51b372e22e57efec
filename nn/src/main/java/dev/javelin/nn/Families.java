package dev.javelin.nn;

import java.util.Collections;
import java.util.ServiceLoader;
import java.util.SortedMap;
import java.util.TreeMap;

/** The families on the class path. */
public final class Families {
  private static final SortedMap<String, Family> ALL = load();

  private Families() {}

  private static SortedMap<String, Family> load() {
    SortedMap<String, Family> found = new TreeMap<>();
    for (ClassLoader loader :
        new ClassLoader[] {
          Family.class.getClassLoader(), Thread.currentThread().getContextClassLoader()
        }) {
      for (Family family : ServiceLoader.load(Family.class, loader)) {
        Family other = found.putIfAbsent(family.modelType(), family);
        if (other != null && !other.equals(family)) {
          throw new IllegalStateException(
              "two families read the model_type %s: %s and %s"
                  .formatted(family.modelType(), other.getClass(), family.getClass()));
        }
      }
    }
    return Collections.unmodifiableSortedMap(found);
  }

  /** By {@code model_type}. */
  public static SortedMap<String, Family> all() {
    return ALL;
  }

  /**
   * The family of that {@code model_type}.
   *
   * @throws IllegalArgumentException if there is none, with those that there are
   */
  public static Family named(String modelType) {
    Family family = ALL.get(modelType);
    if (family == null) {
      throw new IllegalArgumentException(
          "the model_type \"%s\" is not supported: there are %s"
              .formatted(modelType, String.join(", ", ALL.keySet())));
    }
    return family;
  }
}
