package dev.javelin.train.run;

import java.io.IOException;
import java.nio.file.Path;

/** Claims a directory in a process of its own and holds it until its input ends or it is killed. */
final class Holder {
  private Holder() {}

  @SuppressWarnings("SystemOut") // what the test reads
  public static void main(String[] args) throws IOException {
    Path path = Path.of(args[1]);
    try (RunDirectory run =
        args[0].equals("next") ? RunDirectory.claimNext(path) : RunDirectory.claim(path)) {
      System.out.println(run.path());
      while (System.in.read() >= 0) {
        Thread.onSpinWait();
      }
    }
  }

  static Process start(String how, Path directory) throws IOException {
    return new ProcessBuilder(
            Path.of(System.getProperty("java.home"), "bin", "java").toString(),
            "-XX:TieredStopAtLevel=1",
            "-XX:+UseSerialGC",
            "-cp",
            System.getProperty("java.class.path"),
            Holder.class.getName(),
            how,
            directory.toString())
        .redirectError(ProcessBuilder.Redirect.INHERIT)
        .start();
  }
}
