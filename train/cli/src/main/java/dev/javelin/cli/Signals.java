package dev.javelin.cli;

import java.lang.reflect.InvocationTargetException;
import java.lang.reflect.Method;
import java.lang.reflect.Proxy;
import org.jspecify.annotations.Nullable;

/**
 * The system's signals. Java has them in {@code sun.misc} alone, which every build that names it
 * warns of; hence reflection.
 */
final class Signals {
  private Signals() {}

  /**
   * Has {@code body} run whenever that signal comes.
   *
   * @param name such as {@code USR1}
   * @return sets things back to what they were
   * @throws IllegalArgumentException where a process cannot listen to that signal here
   */
  static Runnable handle(String name, Runnable body) {
    try {
      Class<?> signalClass = Class.forName("sun.misc.Signal");
      Class<?> handlerClass = Class.forName("sun.misc.SignalHandler");
      Object signal = signalClass.getConstructor(String.class).newInstance(name);
      Method handle = signalClass.getMethod("handle", signalClass, handlerClass);
      Object handler =
          Proxy.newProxyInstance(
              Signals.class.getClassLoader(),
              new Class<?>[] {handlerClass},
              (self, method, arguments) -> called(self, method, arguments, body));
      Object before = handle.invoke(null, signal, handler);
      return () -> set(handle, signal, before);
    } catch (ReflectiveOperationException e) {
      throw new IllegalArgumentException("signal " + name, e);
    }
  }

  private static @Nullable Object called(
      Object self, Method method, Object @Nullable [] arguments, Runnable body) {
    return switch (method.getName()) {
      case "equals" -> arguments != null && self == arguments[0];
      case "hashCode" -> System.identityHashCode(self);
      case "toString" -> "signal handler";
      default -> {
        body.run();
        yield null;
      }
    };
  }

  private static void set(Method handle, Object signal, Object handler) {
    try {
      handle.invoke(null, signal, handler);
    } catch (IllegalAccessException | InvocationTargetException e) {
      throw new IllegalStateException("a signal's handler could not be set back", e);
    }
  }
}
