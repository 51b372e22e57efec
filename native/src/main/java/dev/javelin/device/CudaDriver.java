package dev.javelin.device;

import static java.nio.charset.StandardCharsets.UTF_8;

import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.lang.foreign.Arena;
import java.lang.foreign.FunctionDescriptor;
import java.lang.foreign.Linker;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.SymbolLookup;
import java.lang.foreign.ValueLayout;
import java.lang.invoke.MethodHandle;
import java.lang.invoke.MethodHandles;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Optional;
import jcuda.driver.CUresult;
import jcuda.driver.JCudaDriver;
import org.jspecify.annotations.Nullable;

/**
 * The driver library of this process: NVIDIA's or the emulated one, never both, since JCuda binds
 * to whichever was there first. JCuda calls it for set-up, memory, modules, streams and graphs;
 * {@link DriverCalls} reaches what JCuda 12.6 lacks or does slowly.
 */
final class CudaDriver {
  /**
   * A path, to load that emulated driver in place of the one in the jar: a build for the debugger.
   */
  private static final String EMULATOR_PROPERTY = "javelin.emulator";

  private static final String EMULATOR = "dev/javelin/device/emulator/libcuda.so.1";
  private static final String LIBRARY =
      System.getProperty("os.name", "").startsWith("Windows") ? "nvcuda.dll" : "libcuda.so.1";
  private static final int CUDA_SUCCESS = CUresult.CUDA_SUCCESS;

  private static @Nullable CudaDriver loaded;

  private final boolean emulated;
  private final SymbolLookup symbols;
  private final int version;

  private CudaDriver(boolean emulated, SymbolLookup symbols) {
    this.emulated = emulated;
    this.symbols = symbols;
    int result = JCudaDriver.cuInit(0);
    if (result != CUDA_SUCCESS) {
      throw CudaException.noStart(result, named(result));
    }
    int[] v = new int[1];
    check(JCudaDriver.cuDriverGetVersion(v), "querying the driver's version");
    this.version = v[0];
  }

  /**
   * NVIDIA's driver.
   *
   * @throws CudaException where there is none, or it does not start
   */
  static synchronized CudaDriver real() {
    return load(false);
  }

  /**
   * The emulated driver.
   *
   * @throws CudaException where this build has none
   */
  static synchronized CudaDriver emulated() {
    return load(true);
  }

  private static CudaDriver load(boolean emulated) {
    CudaDriver l = loaded;
    if (l == null) {
      l = new CudaDriver(emulated, emulated ? loadEmulator() : loadReal());
      loaded = l;
    } else if (l.emulated != emulated) {
      throw new IllegalStateException(
          "this process already uses the %s; a process has one of the two: start another one"
              .formatted(l.emulated ? "emulated device" : "CUDA driver of the machine"));
    }
    return l;
  }

  /** The library that this process has loaded. */
  static synchronized CudaDriver current() {
    CudaDriver l = loaded;
    if (l == null) {
      throw new IllegalStateException("no CUDA device has been opened in this process");
    }
    return l;
  }

  boolean isEmulated() {
    return emulated;
  }

  /** As the driver says it: 13000 for CUDA 13.0. */
  int version() {
    return version;
  }

  /** The address of one of the library's functions. */
  Optional<MemorySegment> symbol(String name) {
    return symbols.find(name);
  }

  /** Whether a driver library can be found here at all; loads nothing for good. */
  static synchronized boolean isInstalled() {
    if (loaded != null) {
      return !loaded.emulated; // the emulated one answers to the same name
    }
    try (Arena arena = Arena.ofConfined()) {
      SymbolLookup.libraryLookup(LIBRARY, arena);
      return true;
    } catch (IllegalArgumentException absent) {
      return false;
    }
  }

  /** Whether this build brings the emulated device. */
  static boolean hasEmulator() {
    return System.getProperty(EMULATOR_PROPERTY) != null
        || CudaDriver.class.getClassLoader().getResource(EMULATOR) != null;
  }

  private static SymbolLookup loadReal() {
    if (!isInstalled()) {
      throw CudaException.noDriver(LIBRARY);
    }
    // Before the library: JCuda's class that cannot find it stays broken for the whole process.
    startJCuda();
    return SymbolLookup.libraryLookup(LIBRARY, Arena.global());
  }

  private static SymbolLookup loadEmulator() {
    String given = System.getProperty(EMULATOR_PROPERTY);
    if (given != null) {
      return bindToEmulator(Path.of(given).toAbsolutePath());
    }
    try (InputStream in = CudaDriver.class.getClassLoader().getResourceAsStream(EMULATOR)) {
      if (in == null) {
        throw CudaException.noEmulator();
      }
      Path folder = Files.createTempDirectory("javelin-"); // for this user's eyes only
      Path library = folder.resolve(LIBRARY);
      try {
        Files.copy(in, library);
        return bindToEmulator(library);
      } finally {
        Files.deleteIfExists(library); // what is loaded stays
        Files.deleteIfExists(folder);
      }
    } catch (IOException e) {
      throw noRoom("the emulated device's library", e);
    }
  }

  private static UncheckedIOException noRoom(String what, IOException e) {
    return new UncheckedIOException(
        "%s cannot be unpacked into %s: name a folder to write to by -Djava.io.tmpdir (%s)"
            .formatted(what, System.getProperty("java.io.tmpdir"), e.getMessage()),
        e);
  }

  /** Its SONAME is libcuda.so.1, so that JCuda's own library finds its need already satisfied. */
  private static SymbolLookup bindToEmulator(Path library) {
    System.load(library.toString());
    SymbolLookup symbols = SymbolLookup.libraryLookup(library, Arena.global());
    startJCuda();
    return symbols;
  }

  /**
   * Loads JCuda's native library. JCuda unpacks it under a fixed name in java.io.tmpdir and takes
   * whatever lies there already: half a file of another process, or another user's. So it gets a
   * folder of its own for as long as that takes.
   */
  private static void startJCuda() {
    String shared = System.getProperty("java.io.tmpdir", "/tmp");
    try {
      Path folder = Files.createTempDirectory("javelin-");
      System.setProperty("java.io.tmpdir", folder.toString());
      try {
        MethodHandles.lookup().ensureInitialized(JCudaDriver.class);
      } finally {
        System.setProperty("java.io.tmpdir", shared);
        try (var files = Files.list(folder)) {
          for (Path file : files.toList()) {
            Files.deleteIfExists(file);
          }
        }
        Files.deleteIfExists(folder);
      }
    } catch (IOException e) {
      throw noRoom("JCuda's library", e);
    } catch (IllegalAccessException e) {
      throw new IllegalStateException(e);
    } catch (LinkageError e) {
      throw CudaException.noNatives(String.valueOf(e.getMessage()).lines().findFirst().orElse(""));
    }
  }

  /**
   * Throws unless {@code result} is success.
   *
   * @param doing what was asked, for the message: {@code "launching rms_norm_forward_bf16"}
   */
  static void check(int result, String doing) {
    if (result != CUDA_SUCCESS) {
      throw new CudaException(result, doing + ": " + named(result));
    }
  }

  /** The driver's name and text of a result, and the emulated device's report where it has one. */
  static String named(int result) {
    String[] name = {null};
    String[] text = {null};
    JCudaDriver.cuGetErrorName(result, name);
    JCudaDriver.cuGetErrorString(result, text);
    String known = name[0] == null ? CUresult.stringFor(result) : name[0];
    String said = text[0] == null || text[0].equals(known) ? "" : " (" + text[0] + ")";
    String report = emulatorReport();
    return known + said + (report.isEmpty() ? "" : "\n" + report);
  }

  private static synchronized String emulatorReport() {
    CudaDriver l = loaded;
    if (l == null || !l.emulated) {
      return "";
    }
    Optional<MemorySegment> function = l.symbol("javelin_emulator_error");
    if (function.isEmpty()) {
      return "";
    }
    MethodHandle call =
        Linker.nativeLinker()
            .downcallHandle(function.get(), FunctionDescriptor.of(ValueLayout.ADDRESS));
    try {
      MemorySegment text = (MemorySegment) call.invokeExact();
      return text.address() == 0
          ? ""
          : text.reinterpret(Long.MAX_VALUE).getString(0, UTF_8).strip();
    } catch (Throwable e) {
      throw new IllegalStateException("javelin_emulator_error", e);
    }
  }
}
