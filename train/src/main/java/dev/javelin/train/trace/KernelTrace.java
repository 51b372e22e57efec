package dev.javelin.train.trace;

import static java.nio.charset.StandardCharsets.UTF_8;

import dev.javelin.device.Cuda;
import dev.javelin.device.DType;
import dev.javelin.device.Emulator;
import dev.javelin.kernels.BundledKernels;
import dev.javelin.train.data.InputException;
import dev.javelin.train.trace.Event.Access;
import dev.javelin.train.trace.Event.Barrier;
import dev.javelin.train.trace.Event.Copy;
import dev.javelin.train.trace.Event.Space;
import dev.javelin.train.trace.Event.WarpOperation;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.stream.Collectors;
import org.jspecify.annotations.Nullable;

/** What one thread of a kernel did. */
public final class KernelTrace {
  private static final int MOST_THREADS = 1024; // of a block, on any device
  private static final String OPERATORS_OWN = "scratch"; // memory between its kernels

  private final TracedKernel kernel;
  private final Launch launch;
  private final int block;
  private final int thread;
  private final DType floats;
  private final List<Region> regions;
  private final SourceLines lines;
  private final List<Step> steps;

  private KernelTrace(
      TracedKernel kernel,
      Launch launch,
      int block,
      int thread,
      DType floats,
      List<Region> regions,
      SourceLines lines) {
    this.kernel = kernel;
    this.launch = launch.joined(lines);
    this.block = block;
    this.thread = thread;
    this.floats = floats;
    this.regions = regions;
    this.lines = lines;
    this.steps = steps();
  }

  /** Whether this build has what a trace needs: the emulated device, with checked images. */
  public static boolean isAvailable() {
    return Cuda.hasEmulator() && BundledKernels.checked().find("rms_norm", 0, true) != null;
  }

  /**
   * Runs a kernel's operator on the emulated device and writes down what one thread does. The
   * device must not be in use: its settings are the process's.
   *
   * @param block numbers of blocks and threads count along x first
   * @param floats the type of those tensors that may have another than F32
   * @throws InputException where the launch has no such block or thread, or this build cannot trace
   */
  public static KernelTrace of(
      TracedKernel kernel, int block, int thread, TracedKernel.Sizes sizes, DType floats) {
    if (!isAvailable()) {
      throw new InputException(
          "a trace needs the emulated device with checked kernels, which this build lacks:"
              + " ./javelin kernel builds them, on Linux with g++");
    }
    within("--block", block, Integer.MAX_VALUE, "");
    within("--thread", thread, MOST_THREADS, "");
    BundledKernels images = BundledKernels.checked();
    try (Cuda cuda = Cuda.emulated(images);
        Stage stage = new Stage(cuda, floats)) {
      Runnable operator = kernel.setup().on(stage, sizes);
      cuda.synchronize();
      List<Launch> launches = record(cuda, block, thread, operator);
      Launch launch =
          launches.stream()
              .filter(l -> l.kernel().startsWith(kernel.launches()))
              .findFirst()
              .orElseThrow(() -> new IllegalStateException("launched were " + launches));
      String its = " (" + launch.kernel() + " has %d at this size)";
      within("--block", block, launch.grid().count(), its);
      within("--thread", thread, launch.block().count(), its);
      List<Long> sites = launch.events().stream().map(Event::site).distinct().toList();
      SourceLines lines = SourceLines.of(image(images, launch.kernel()), sites);
      return new KernelTrace(kernel, launch, block, thread, floats, stage.regions(), lines);
    }
  }

  private static void within(String flag, long value, long count, String its) {
    if (value < 0 || value >= count) {
      throw new InputException(
          "%s must be %s%s, got %d"
              .formatted(
                  flag,
                  count == 1 ? "0" : "from 0 to " + (count - 1),
                  its.formatted(count),
                  value));
    }
  }

  private static List<Launch> record(Cuda cuda, int block, int thread, Runnable operator) {
    try {
      Path file = Files.createTempFile("javelin-trace", ".txt");
      try {
        Emulator.set("trace", block + ":" + thread + ":" + file);
        try {
          operator.run();
          cuda.synchronize();
        } finally {
          Emulator.set("trace", "0");
        }
        return Launch.parse(Files.readAllLines(file, UTF_8));
      } finally {
        Files.delete(file);
      }
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  /** That of the longest beginning of the name for which there is one. */
  private static byte[] image(BundledKernels images, String kernel) {
    for (int end = kernel.length(); end > 0; end = kernel.lastIndexOf('_', end - 1)) {
      byte[] image = images.find(kernel.substring(0, end), 0, true);
      if (image != null) {
        return image;
      }
    }
    throw new IllegalStateException("no image has " + kernel);
  }

  private List<Step> steps() {
    List<Step> all = new ArrayList<>();
    launch.of(thread).forEach(e -> all.add(step(all.size() + 1, e)));
    return List.copyOf(all);
  }

  private Step step(int number, Event e) {
    SourceLines.Line line = lines.line(e.site());
    return switch (e) {
      case Access a -> {
        Optional<Region> region = region(a);
        String where = place(a.space(), a.address(), a.bytes().size(), region);
        String of = region.map(Region::name).orElse(where.replaceFirst("[+].*", ""));
        String values = a.bytes().text(type(region));
        String what = a.write() ? "write" : "read";
        yield new Step(number, e, what, of, where, values, a.bytes().size(), line);
      }
      case Copy c -> {
        Optional<Region> region = region(c.from());
        int size = c.bytes().size();
        String from = size == 0 ? "zeros" : place(Space.GLOBAL, c.from(), size, region);
        String values = c.bytes().text(type(region));
        String of = size == 0 ? from : region.map(Region::name).orElse(from);
        String where = from + " to " + place(c.space(), c.address(), size, Optional.empty());
        yield new Step(number, e, "copy", of, where, values, size, line);
      }
      case Barrier b -> new Step(number, e, b.name(), "", "", "", 0, line);
      case WarpOperation w -> {
        DType type = w.name().contains("matrix") ? floats : null; // two halves a register
        String given = w.given().size() == 0 ? "" : "gives " + w.given().text(type);
        String got = w.got().size() == 0 ? "" : "gets " + w.got().text(type);
        String both = given + (given.isEmpty() || got.isEmpty() ? "" : ", ") + got;
        yield new Step(number, e, w.name(), "", "", both, 0, line);
      }
    };
  }

  /** {@code , 32 elements apart}, for accesses to a tensor equally far apart; otherwise nothing. */
  String apart(List<Step> of) {
    List<Long> addresses = new ArrayList<>();
    DType type = null;
    for (Step s : of) {
      if (s.event() instanceof Access a) {
        addresses.add(a.address());
        type = type(region(a));
      }
    }
    long distance = addresses.size() < 2 ? 0 : addresses.get(1) - addresses.getFirst();
    for (int i = 1; i < addresses.size(); i++) {
      if (addresses.get(i) - addresses.get(i - 1) != distance) {
        return "";
      }
    }
    return type == null || distance == 0
        ? ""
        : ", " + distance / type.byteSize() + " elements apart";
  }

  private static @Nullable DType type(Optional<Region> region) {
    return region.map(Region::type).orElse(null);
  }

  private String place(Space space, long address, int size, Optional<Region> region) {
    return switch (space) {
      case SHARED -> "shared+" + address;
      case VARIABLE -> lines.variable(address);
      case GLOBAL -> region.map(r -> r.place(address, size)).orElse(OPERATORS_OWN);
    };
  }

  private Optional<Region> region(Access a) {
    return a.space() == Space.GLOBAL ? region(a.address()) : Optional.empty();
  }

  private Optional<Region> region(long address) {
    return regions.stream().filter(r -> r.contains(address)).findFirst();
  }

  List<Step> all() {
    return steps;
  }

  Launch launch() {
    return launch;
  }

  /** The warp's accesses to one place: what each lane touched when this thread made its step. */
  @SuppressWarnings("ReferenceEquality") // an equal access may have come before
  List<Access> besides(Step step) {
    Access mine = (Access) step.event();
    long before =
        launch
            .of(thread)
            .takeWhile(e -> e != mine)
            .filter(e -> e.site() == mine.site() && e instanceof Access)
            .count();
    return launch.events().stream()
        .filter(e -> e.site() == mine.site())
        .filter(Access.class::isInstance)
        .map(Access.class::cast)
        .collect(Collectors.groupingBy(Access::thread))
        .values()
        .stream()
        .filter(of -> of.size() > before)
        .map(of -> of.get((int) before))
        .toList();
  }

  /**
   * As a table to read.
   *
   * @param unfolded every step of every loop
   */
  public String text(boolean unfolded) {
    return new TraceText(this, unfolded).text();
  }

  /** The lines above the table. */
  List<String> head() {
    String tensors = regions.stream().map(Region::toString).collect(Collectors.joining(", "));
    return List.of(
        kernel.name() + ": " + kernel.formula(),
        "on " + tensors,
        "%s: %s of %s threads; here thread %s of block %s (lane %d of warp %d)"
            .formatted(
                launch.kernel(),
                launch.grid().count() == 1 ? "1 block" : launch.grid() + " blocks",
                launch.block(),
                launch.block().text(thread),
                launch.grid().text(block),
                thread % Coalescing.LANES,
                thread / Coalescing.LANES));
  }
}
