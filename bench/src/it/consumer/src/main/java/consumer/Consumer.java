package consumer;

import java.nio.file.Path;
import org.slf4j.LoggerFactory;

/**
 * What an embedding program does with Javelin; ends with an error where one of it does not hold.
 */
public final class Consumer {
  private Consumer() {}

  public static void main(String[] args) throws Exception {
    Path folder = Path.of(args[0]);
    String logging = LoggerFactory.getILoggerFactory().getClass().getName();
    check(logging.startsWith("ch.qos.logback."), "logging is the program's own, got " + logging);
    Path model = LanguageModels.trainCancelAndResume(folder.resolve("language"));
    LanguageModels.serve(model);
    OwnModel.trainAndResume(folder.resolve("own"));
    System.out.println("consumer: trained, cancelled, resumed, served, and trained its own model");
  }

  static void check(boolean holds, String what) {
    if (!holds) {
      throw new AssertionError(what);
    }
  }
}
