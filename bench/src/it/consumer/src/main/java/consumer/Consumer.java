package consumer;

import java.nio.file.Path;
import org.slf4j.LoggerFactory;

/**
 * Everything an embedding program does with Javelin; ends with an exception where one does not
 * hold.
 */
public final class Consumer {
  private Consumer() {}

  public static void main(String[] args) throws Exception {
    Path folder = Path.of(args[0]);
    String logging = LoggerFactory.getILoggerFactory().getClass().getName();
    check(logging.startsWith("ch.qos.logback."), "logging is the program's own, got " + logging);
    System.out.println("consumer: all is well in " + folder);
  }

  static void check(boolean holds, String what) {
    if (!holds) {
      throw new AssertionError(what);
    }
  }
}
