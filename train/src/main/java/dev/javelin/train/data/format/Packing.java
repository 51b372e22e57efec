package dev.javelin.train.data.format;

import com.github.luben.zstd.ZstdIOException;
import com.github.luben.zstd.ZstdInputStreamNoFinalizer;
import dev.javelin.tensor.io.FileFormatException;
import java.io.EOFException;
import java.io.IOException;
import java.io.InputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Locale;
import java.util.zip.GZIPInputStream;
import java.util.zip.ZipException;
import org.jspecify.annotations.Nullable;

/**
 * How a file may be packed, said by the end of its name: {@code docs.jsonl.gz} is a {@code .jsonl}
 * file. It is unpacked while it is read, never as a whole.
 */
enum Packing {
  GZIP(List.of(".gz")) {
    @Override
    InputStream unpack(InputStream packed) throws IOException {
      return new GZIPInputStream(packed, BUFFER);
    }
  },
  /** Frames whose window is larger than 128 MiB are refused, as the zstd program does. */
  ZSTD(List.of(".zst", ".zstd")) {
    @Override
    InputStream unpack(InputStream packed) throws IOException {
      return new ZstdInputStreamNoFinalizer(packed);
    }
  };

  private static final int BUFFER = 1 << 16;

  /** What may come out of any file. */
  private static final long ALWAYS = 64L << 20;

  /** How often its own size may come out of a file: text is rarely packed to a hundredth. */
  private static final long TIMES = 250;

  private final List<String> suffixes;

  Packing(List<String> suffixes) {
    this.suffixes = suffixes;
  }

  abstract InputStream unpack(InputStream packed) throws IOException;

  /** How a file of that name is packed; {@code null} where it is not. */
  static @Nullable Packing of(Path file) {
    String name = lower(file);
    for (Packing packing : values()) {
      if (packing.suffixes.stream().anyMatch(name::endsWith)) {
        return packing;
      }
    }
    return null;
  }

  private static String lower(Path file) {
    return file.toString().toLowerCase(Locale.ROOT);
  }

  /** The file's name in lower case, without what says how it is packed. */
  static String plainName(Path file) {
    String name = lower(file);
    Packing packing = of(file);
    return packing == null ? name : name.substring(0, name.lastIndexOf('.'));
  }

  /**
   * Opens a file to be read as if it were not packed.
   *
   * @throws FileFormatException here, or while it is read, where it is not packed as its name says
   */
  static InputStream open(Path file) throws IOException {
    Packing packing = of(file);
    InputStream in = Files.newInputStream(file);
    if (packing == null) {
      return in;
    }
    try {
      return new Unpacked(file, packing.unpack(in), Files.size(file));
    } catch (ZipException | EOFException | ZstdIOException e) {
      in.close();
      throw damaged(file, e);
    } catch (IOException | RuntimeException | Error e) {
      in.close();
      throw e;
    }
  }

  private static FileFormatException damaged(Path file, IOException e) {
    return new FileFormatException(
        file,
        "cannot be unpacked: it is damaged or cut short, or not what its name says",
        "pack it again, or name the unpacked file",
        e);
  }

  /** What comes out, with the errors that data may have. */
  private static final class Unpacked extends InputStream {
    private final Path file;
    private final InputStream in;
    private final long most;
    private long count;

    Unpacked(Path file, InputStream in, long packedSize) {
      this.file = file;
      this.in = in;
      this.most = Math.max(ALWAYS, TIMES * packedSize);
    }

    @Override
    public int read() throws IOException {
      byte[] one = new byte[1];
      return read(one, 0, 1) < 0 ? -1 : one[0] & 0xFF;
    }

    @Override
    public int read(byte[] into, int at, int length) throws IOException {
      int n;
      try {
        n = in.read(into, at, length);
      } catch (ZipException | EOFException | ZstdIOException e) {
        throw damaged(file, e);
      }
      count += Math.max(0, n);
      if (count > most) {
        throw new FileFormatException(
            file,
            "unpacks to more than " + TIMES + " times its size",
            "if that is meant, unpack it and name the unpacked file");
      }
      return n;
    }

    @Override
    public void close() throws IOException {
      in.close();
    }
  }
}
