package dev.javelin.train.run;

import dev.javelin.tensor.io.FileCalls;
import java.io.IOException;
import java.io.OutputStream;
import java.nio.ByteBuffer;
import java.nio.channels.WritableByteChannel;
import java.nio.file.FileSystemException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;

/**
 * The system's calls until the one with a certain number, where the process dies or the disk is
 * full from then on. Of bytes to be written at that moment, half reach the file. For any threads.
 */
public final class FaultyCalls implements FileCalls {
  /** What happens at that call. */
  public enum Fault {
    /** The process dies: no later call does anything either. */
    KILL,
    /** Whatever needs space fails, from now on; deleting and renaming work. */
    FULL,
    /** This call fails, once. */
    ONCE
  }

  /** The end of the process. Nothing catches it. */
  public static final class Killed extends Error {
    private static final long serialVersionUID = 1;
    private final boolean first;

    Killed(boolean first) {
      this.first = first;
    }
  }

  private final Fault fault;
  private final int at;
  private final List<String> calls = new ArrayList<>();

  /**
   * @param at from 0 on; a number that is not reached changes nothing
   */
  public FaultyCalls(Fault fault, int at) {
    this.fault = fault;
    this.at = at;
  }

  /** The calls that were made, with what they were made on. */
  public synchronized List<String> calls() {
    return List.copyOf(calls);
  }

  private synchronized boolean fails(String call, Object on, boolean needsSpace)
      throws IOException {
    int number = calls.size();
    calls.add(call + " " + on);
    switch (fault) {
      case KILL -> {
        if (number >= at) {
          throw new Killed(number == at);
        }
      }
      case FULL -> {
        return needsSpace && number >= at;
      }
      case ONCE -> {
        return number == at;
      }
    }
    return false;
  }

  private void orFail(String call, Object on, boolean needsSpace) throws IOException {
    if (fails(call, on, needsSpace)) {
      throw full(on);
    }
  }

  private static FileSystemException full(Object on) {
    return new FileSystemException(on.toString(), null, "No space left on device");
  }

  @Override
  public WritableByteChannel create(Path file) throws IOException {
    orFail("create", file, true);
    return SYSTEM.create(file);
  }

  @Override
  public OutputStream append(Path file) throws IOException {
    orFail("append", file, true);
    OutputStream out = SYSTEM.append(file);
    return new OutputStream() {
      @Override
      public void write(int b) throws IOException {
        write(new byte[] {(byte) b}, 0, 1);
      }

      @Override
      public void write(byte[] bytes, int from, int count) throws IOException {
        boolean fails;
        try {
          fails = fails("write", file, true);
        } catch (Killed killed) {
          if (killed.first) {
            out.write(bytes, from, count / 2);
          }
          throw killed;
        }
        out.write(bytes, from, fails ? count / 2 : count);
        if (fails) {
          throw full(file);
        }
      }

      @Override
      public void close() throws IOException {
        out.close();
      }
    };
  }

  @Override
  public int write(WritableByteChannel channel, ByteBuffer bytes) throws IOException {
    boolean fails;
    try {
      fails = fails("write", "", true);
    } catch (Killed killed) {
      if (killed.first) {
        SYSTEM.write(channel, bytes.slice().limit(bytes.remaining() / 2));
      }
      throw killed;
    }
    if (fails) {
      SYSTEM.write(channel, bytes.slice().limit(bytes.remaining() / 2));
      throw full("file");
    }
    return SYSTEM.write(channel, bytes);
  }

  @Override
  public void sync(WritableByteChannel channel) throws IOException {
    orFail("sync", "", true);
    SYSTEM.sync(channel);
  }

  @Override
  public void syncDirectory(Path directory) throws IOException {
    orFail("syncDirectory", directory, false);
    SYSTEM.syncDirectory(directory);
  }

  @Override
  public void rename(Path from, Path to) throws IOException {
    orFail("rename", from + " " + to, false);
    SYSTEM.rename(from, to);
  }

  @Override
  public void link(Path link, Path target) throws IOException {
    orFail("link", link, true);
    SYSTEM.link(link, target);
  }

  @Override
  public void delete(Path path) throws IOException {
    orFail("delete", path, false);
    SYSTEM.delete(path);
  }

  @Override
  public void createDirectory(Path directory) throws IOException {
    orFail("createDirectory", directory, true);
    SYSTEM.createDirectory(directory);
  }
}
