package dev.javelin.cli;

import dev.javelin.tensor.io.FileCalls;
import java.io.IOException;
import java.lang.foreign.FunctionDescriptor;
import java.lang.foreign.Linker;
import java.lang.foreign.ValueLayout;
import java.nio.ByteBuffer;
import java.nio.channels.WritableByteChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.concurrent.locks.LockSupport;

/**
 * {@code javelin} in a process that the system kills, or that stands still, at a certain one of the
 * calls by which checkpoints are written: {@code kill|hold CALL SHARE MARKER ARGUMENTS…}. Of bytes
 * to be written by that call, a share reaches the file.
 */
final class DyingRun implements FileCalls {
  private static final int SIGKILL = 9;

  private final boolean kill;
  private final int at;
  private final double share;
  private final Path marker;
  private int calls;

  private DyingRun(boolean kill, int at, double share, Path marker) {
    this.kill = kill;
    this.at = at;
    this.share = share;
    this.marker = marker;
  }

  public static void main(String[] args) throws Exception {
    DyingRun calls =
        new DyingRun(
            args[0].equals("kill"),
            Integer.parseInt(args[1]),
            Double.parseDouble(args[2]),
            Path.of(args[3]));
    String[] javelin = Arrays.copyOfRange(args, 4, args.length);
    System.exit(ScopedValue.where(SCOPE, calls).call(() -> Main.run(javelin)));
  }

  /** The calls of the thread that writes checkpoints, and only these. */
  private boolean isDue() {
    return Thread.currentThread().getName().equals("javelin-save") && calls++ == at;
  }

  private void end(String call) throws IOException {
    Files.writeString(marker, call);
    if (kill) {
      try {
        Linker linker = Linker.nativeLinker();
        int pid = (int) ProcessHandle.current().pid();
        linker
            .downcallHandle(
                linker.defaultLookup().findOrThrow("kill"),
                FunctionDescriptor.of(
                    ValueLayout.JAVA_INT, ValueLayout.JAVA_INT, ValueLayout.JAVA_INT))
            .invoke(pid, SIGKILL);
      } catch (Throwable e) {
        throw new AssertionError(e);
      }
    }
    while (true) {
      LockSupport.park();
    }
  }

  private void orEnd(String call, Object on) throws IOException {
    if (isDue()) {
      end(call + " " + on);
    }
  }

  @Override
  public WritableByteChannel create(Path file) throws IOException {
    orEnd("create", file);
    return SYSTEM.create(file);
  }

  @Override
  public int write(WritableByteChannel channel, ByteBuffer bytes) throws IOException {
    if (isDue()) {
      int some = (int) (share * bytes.remaining());
      SYSTEM.write(channel, bytes.slice().limit(some));
      end("write " + some + " of " + bytes.remaining() + " bytes");
    }
    return SYSTEM.write(channel, bytes);
  }

  @Override
  public void sync(WritableByteChannel channel) throws IOException {
    orEnd("sync", "");
    SYSTEM.sync(channel);
  }

  @Override
  public void syncDirectory(Path directory) throws IOException {
    orEnd("syncDirectory", directory);
    SYSTEM.syncDirectory(directory);
  }

  @Override
  public void rename(Path from, Path to) throws IOException {
    orEnd("rename", from + " " + to);
    SYSTEM.rename(from, to);
  }

  @Override
  public void link(Path link, Path target) throws IOException {
    orEnd("link", link);
    SYSTEM.link(link, target);
  }

  @Override
  public void delete(Path path) throws IOException {
    orEnd("delete", path);
    SYSTEM.delete(path);
  }
}
