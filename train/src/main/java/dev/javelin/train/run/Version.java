package dev.javelin.train.run;

/** Which Javelin this is. */
public final class Version {
  /** The version as it is released. */
  public static final String NUMBER = "0.1.0";

  private static final String PROPERTY = "javelin.commit";

  private Version() {}

  /**
   * The commit of the sources that run, with {@code -dirty} where files were changed since; {@code
   * unknown} where the launcher did not say so by the property {@value #PROPERTY}.
   */
  public static String commit() {
    String commit = System.getProperty(PROPERTY, "");
    return commit.isEmpty() ? "unknown" : commit;
  }
}
