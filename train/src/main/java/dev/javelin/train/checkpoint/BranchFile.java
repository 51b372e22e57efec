package dev.javelin.train.checkpoint;

import dev.javelin.tensor.io.AtomicFile;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.LinkOption;
import java.nio.file.Path;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * {@code .branch}: the checkpoint that a run went on from while newer ones stood beside it, and the
 * number that this has among the saves of the directory. So it is the newest until the run saves.
 */
final class BranchFile {
  private static final String FILE = ".branch";
  private static final Pattern CONTENT = Pattern.compile("(checkpoint-\\d{1,18}) (\\d{1,18})\\n");
  private static final int LONGEST = 64;

  private final Path file;

  BranchFile(Path run) {
    this.file = run.resolve(FILE);
  }

  void write(String checkpoint, long number) {
    AtomicFile.write(file, checkpoint + " " + number + "\n");
  }

  /** 0 where there is no branch. */
  long number() {
    Matcher m = CONTENT.matcher(content());
    return m.matches() ? Long.parseLong(m.group(2)) : 0;
  }

  /** The number of going on from that checkpoint; 0 where that has not happened. */
  long number(Path checkpoint) {
    Matcher m = CONTENT.matcher(content());
    return m.matches() && m.group(1).equals(String.valueOf(checkpoint.getFileName()))
        ? Long.parseLong(m.group(2))
        : 0;
  }

  /** What is no branch file of ours says nothing. */
  private String content() {
    try {
      return Files.isRegularFile(file, LinkOption.NOFOLLOW_LINKS) && Files.size(file) <= LONGEST
          ? new String(Files.readAllBytes(file), StandardCharsets.US_ASCII)
          : "";
    } catch (IOException e) {
      return "";
    }
  }
}
