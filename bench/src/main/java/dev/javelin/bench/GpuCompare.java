package dev.javelin.bench;

import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import dev.javelin.device.Cuda;
import dev.javelin.device.CudaException;
import dev.javelin.device.DType;
import dev.javelin.kernels.BundledKernels;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.LocalDate;
import java.time.ZoneOffset;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalDouble;
import org.jspecify.annotations.Nullable;

/**
 * Our kernels, cuBLAS and PyTorch in turn on one GPU; one JSON file, and a table of ratios, both
 * written case by case.
 *
 * <pre>{@code
 * GpuCompare --device cuda --commit abc --out DIR [--rounds 11] [--millis 20] [--seconds 600]
 *     [--python python3 --peer torch_peer.py | --no-torch REASON] [CASE…]
 * GpuCompare --device cuda --probe     says what the device is, and no more
 * }</pre>
 *
 * Each round asks every side once while the others rest, in alternating order; a case's time is the
 * median of its rounds' medians. A side that cannot do a case is "n/a" there, with the reason below
 * the table and in the file. CASE… are run in their order; after {@code --seconds} no case is
 * begun, and no round of one that has been measured.
 */
public final class GpuCompare {
  private static final String US = "javelin";
  private static final String CUBLAS = "cublas";
  private static final String TORCH = "torch";
  private static final String ABSENT = "n/a";

  private final Cuda cuda;
  private final CudaTimer timer;
  private final Optional<MatmulBaseline> cublas;
  private final String noCublas;
  private final @Nullable TorchPeer torch;
  private final String noTorch;
  private final int rounds;
  private final long millis;
  private final long end; // of the time that there is, by System.nanoTime
  private final @Nullable Card card; // whose ceilings are known
  private final Map<String, List<String>> absent = new LinkedHashMap<>(); // cases by reason

  private GpuCompare(Cuda cuda, @Nullable TorchPeer torch, Map<String, String> options) {
    this.cuda = cuda;
    this.timer = new CudaTimer(cuda);
    Optional<MatmulBaseline> library = Optional.empty();
    String without = "no libcublas.so.13 or .12 on this machine";
    try {
      library = MatmulBaseline.find(cuda);
    } catch (IllegalStateException e) {
      without = reason(e);
    }
    this.cublas = library;
    this.noCublas = without;
    this.torch = torch;
    this.noTorch = options.getOrDefault("no-torch", "PyTorch was not asked for");
    boolean emulated = cuda.properties().emulated();
    this.card = Card.of(cuda.properties().name()).orElse(null);
    this.rounds = Integer.parseInt(options.getOrDefault("rounds", emulated ? "2" : "11"));
    long seconds = Long.parseLong(options.getOrDefault("seconds", "1000000"));
    this.end = System.nanoTime() + seconds * 1_000_000_000;
    this.millis = Long.parseLong(options.getOrDefault("millis", emulated ? "0" : "20"));
  }

  public static void main(String[] args) throws IOException {
    Map<String, String> options = new HashMap<>();
    List<String> only = new ArrayList<>();
    for (int i = 0; i < args.length; i++) {
      if (!args[i].startsWith("--")) {
        only.add(args[i]);
      } else if (args[i].equals("--probe")) {
        options.put("probe", "");
      } else if (i + 1 < args.length) {
        options.put(args[i].substring(2), args[++i]);
      } else {
        fail(args[i] + " needs a value");
      }
    }
    try (Cuda cuda = open(options.getOrDefault("device", "cuda"))) {
      if (options.containsKey("probe")) {
        System.out.println(cuda + ": " + cuda.properties().describe());
        return;
      }
      try (TorchPeer torch = torch(options)) {
        new GpuCompare(cuda, torch, options).run(options, only);
      }
    } catch (CudaException | IllegalArgumentException e) {
      fail(String.valueOf(e.getMessage()));
    }
  }

  private static void fail(String message) {
    System.err.println("gpu: " + message);
    System.exit(2);
  }

  private static Cuda open(String device) {
    BundledKernels images = new BundledKernels();
    if (device.equals("emulator")) {
      return Cuda.emulated(images);
    }
    if (!device.matches("cuda(:\\d+)?")) {
      throw new IllegalArgumentException(
          "--device must be cuda, cuda:N or emulator, got " + device);
    }
    return Cuda.open(device.length() > 5 ? Integer.parseInt(device.substring(5)) : 0, images);
  }

  private static @Nullable TorchPeer torch(Map<String, String> options) {
    String python = options.get("python");
    if (python == null) {
      return null;
    }
    try {
      Path script = Path.of(options.getOrDefault("peer", ""));
      long seconds = Long.parseLong(options.getOrDefault("seconds", "1000000"));
      return new TorchPeer(python, script, Math.min(seconds, TorchPeer.LIMIT_SECONDS));
    } catch (UncheckedIOException e) {
      options.put("no-torch", reason(e));
      return null;
    }
  }

  private void run(Map<String, String> options, List<String> only) throws IOException {
    ObjectMapper json = new ObjectMapper();
    ObjectNode result = describe(json.createObjectNode(), options);
    ArrayNode rows = result.putArray("rows");
    Path file = file(options, result);
    List<GpuCase> cases = cuda.properties().emulated() ? GpuCase.forEmulator() : GpuCase.forGpu();
    printHead(result);
    try {
      for (GpuCase c : chosen(cases, only)) {
        if (isOver()) {
          absent("all", "no time was left", c);
        } else {
          Map<String, Double> times = measure(c);
          if (times.containsKey(US)) {
            row(rows.addObject(), c, times);
            System.out.print(line(c, times));
          }
        }
        save(json, result, file); // what was measured is kept, whatever happens after it
      }
    } finally {
      timer.close();
      cublas.ifPresent(MatmulBaseline::close);
      printAbsent(file);
    }
  }

  /** The cases whose names contain one of `only`, in that order; all, where there is none. */
  static List<GpuCase> chosen(List<GpuCase> cases, List<String> only) {
    return only.isEmpty()
        ? cases
        : only.stream()
            .flatMap(part -> cases.stream().filter(c -> c.toString().contains(part)))
            .distinct()
            .toList();
  }

  private boolean isOver() {
    return System.nanoTime() - end >= 0;
  }

  private void save(ObjectMapper json, ObjectNode result, Path file) throws IOException {
    ObjectNode reasons = result.putObject("not_available");
    absent.forEach((reason, names) -> names.forEach(reasons.putArray(reason)::add));
    Files.createDirectories(file.toAbsolutePath().getParent());
    Files.writeString(
        file, json.writerWithDefaultPrettyPrinter().writeValueAsString(result) + "\n");
  }

  private ObjectNode describe(ObjectNode result, Map<String, String> options) {
    var gpu = cuda.properties();
    LaunchCost.Nanos launch = LaunchCost.measure(cuda);
    return result
        .put("device", gpu.name())
        .put("capability", gpu.capability() / 10 + "." + gpu.capability() % 10)
        .put("multiprocessors", gpu.multiprocessors())
        .put("memory_bytes", gpu.totalMemory())
        .put(
            "driver",
            "CUDA %d.%d".formatted(gpu.driverVersion() / 1000, gpu.driverVersion() % 1000 / 10))
        .put("driver_release", options.getOrDefault("driver", "unknown"))
        .put("commit", options.getOrDefault("commit", "unknown"))
        .put("date", LocalDate.now(ZoneOffset.UTC).toString())
        .put("emulated", gpu.emulated())
        .put("cublas", cublas.map(MatmulBaseline::name).orElse("none"))
        .put("torch", torch == null ? "none" : torch.version())
        .put("rounds", rounds)
        .put("host_ns_per_launch_ffm", Math.round(launch.ffm()))
        .put("host_ns_per_launch_jcuda", Math.round(launch.jcuda()));
  }

  private static Path file(Map<String, String> options, ObjectNode result) {
    String device =
        result.path("device").asText().toLowerCase(Locale.ROOT).replaceAll("[^a-z0-9]+", "-");
    String name =
        device + "-" + result.path("date").asText() + "-" + result.path("commit").asText();
    Path folder = Path.of(options.getOrDefault("out", "results"));
    Path file = folder.resolve(name + ".json");
    for (int n = 2; Files.exists(file); n++) { // other cases of the same day: none is lost
      file = folder.resolve(name + "-" + n + ".json");
    }
    return file;
  }

  /** Milliseconds by side; nothing of a side that cannot do it. */
  private Map<String, Double> measure(GpuCase c) {
    System.err.println(c);
    GpuCase.Work work;
    try {
      work = c.on(cuda);
    } catch (RuntimeException e) {
      failed(US, e, c);
      return Map.of();
    }
    try (Operands theirs = Operands.on(cuda, c.type())) {
      Map<String, Side> sides = new LinkedHashMap<>();
      sides.put(US, () -> OptionalDouble.of(timer.median(work.run(), millis)));
      if (c.bench().equals("matmul") && c.name().endsWith("nt")) {
        cublas.ifPresentOrElse(
            library -> cublas(sides, c, theirs, library), () -> absent(CUBLAS, noCublas, c));
      }
      if (torch == null) {
        absent(TORCH, noTorch, c);
      } else {
        for (String variant : c.torchVariants()) {
          sides.put(torch(variant), () -> torchMillis(torch, c, variant));
        }
      }
      return medians(sides, c);
    } finally {
      work.close().run();
    }
  }

  private void cublas(
      Map<String, Side> sides, GpuCase c, Operands operands, MatmulBaseline library) {
    try {
      Runnable product = MatmulShape.parse(c.name()).on(operands, library);
      sides.put(CUBLAS, () -> OptionalDouble.of(timer.median(product, millis)));
    } catch (RuntimeException e) {
      failed(CUBLAS, e, c);
    }
  }

  /**
   * No kernel, too little memory, a library that refuses: the other cases are measured all the
   * same.
   *
   * @throws CudaException after anything worse, since the device does not answer any more
   */
  private void failed(String side, RuntimeException e, GpuCase c) {
    absent(side, reason(e), c);
    cuda.synchronize();
  }

  private static String reason(RuntimeException e) {
    Throwable cause = e.getCause();
    String said = e.getMessage() + (cause == null ? "" : ": " + cause.getMessage());
    return said.lines().findFirst().orElse("");
  }

  private OptionalDouble torchMillis(TorchPeer peer, GpuCase c, String variant) {
    TorchPeer.Answer answer = peer.millis(c, variant, millis);
    answer.error().ifPresent(reason -> absent(torch(variant), reason, c));
    return answer.millis();
  }

  private static String torch(String variant) {
    return variant.equals("eager") ? TORCH : TORCH + "_" + variant;
  }

  private void absent(String side, String reason, GpuCase c) {
    List<String> names = absent.computeIfAbsent(side + ": " + reason, k -> new ArrayList<>());
    if (!names.contains(c.toString())) {
      names.add(c.toString());
    }
  }

  private interface Side {
    OptionalDouble millis();
  }

  private Map<String, Double> medians(Map<String, Side> sides, GpuCase c) {
    Map<String, List<Double>> times = new LinkedHashMap<>();
    List<String> order = new ArrayList<>(sides.keySet());
    for (int round = 0; round <= rounds; round++) { // the first warms up
      if (round > 1 && isOver()) {
        break;
      }
      for (String name : List.copyOf(round % 2 == 0 ? order : order.reversed())) {
        OptionalDouble t = OptionalDouble.empty();
        try {
          t = sides.get(name).millis();
        } catch (RuntimeException e) {
          failed(name, e, c);
        }
        if (t.isEmpty()) {
          order.remove(name);
          times.remove(name);
        } else if (round > 0) {
          times.computeIfAbsent(name, k -> new ArrayList<>()).add(t.getAsDouble());
        }
      }
    }
    Map<String, Double> medians = new LinkedHashMap<>();
    times.forEach((name, t) -> medians.put(name, CudaTimer.median(t)));
    return medians;
  }

  private void row(ObjectNode row, GpuCase c, Map<String, Double> times) {
    row.put("bench", c.bench()).put("case", c.name()).put("dtype", type(c));
    times.forEach((name, ms) -> row.put(name + "_ms", ms));
    double ours = times.get(US);
    c.rate().ifPresent(r -> row.put("rate", r.at(ours)).put("rate_unit", r.unit()));
    if (card != null && c.predictedMillis(card) > 0) {
      row.put("predicted_ms", c.predictedMillis(card));
    }
    if (times.containsKey(CUBLAS)) {
      row.put("ratio_to_cublas", times.get(CUBLAS) / ours);
    }
    fastestTorch(times)
        .ifPresent(
            t -> row.put("ratio_to_torch", t.getValue() / ours).put("torch_best", t.getKey()));
  }

  private static Optional<Map.Entry<String, Double>> fastestTorch(Map<String, Double> times) {
    return times.entrySet().stream()
        .filter(t -> t.getKey().startsWith(TORCH))
        .min(Map.Entry.comparingByValue());
  }

  private static String type(GpuCase c) {
    return c.type() == DType.U8 ? "u8" : c.torchType();
  }

  private String line(GpuCase c, Map<String, Double> times) {
    double ours = times.get(US);
    double predicted = card == null ? 0 : c.predictedMillis(card);
    return "| %s | %s | %s | %s | %s | %s |%n"
        .formatted(
            c,
            number("%.4f", ours),
            c.rate().map(r -> number("%.1f ", r.at(ours)) + r.unit()).orElse(""),
            predicted > 0 ? number("%.0f %%", 100 * predicted / ours) : ABSENT,
            times.containsKey(CUBLAS) ? number("%.2f", times.get(CUBLAS) / ours) : ABSENT,
            fastestTorch(times)
                .map(t -> number("%.2f", t.getValue() / ours) + by(t.getKey()))
                .orElse(ABSENT));
  }

  private static String by(String torch) {
    return torch.equals(TORCH) ? "" : " (" + torch.substring(TORCH.length() + 1) + ")";
  }

  private static String number(String format, double value) {
    return String.format(Locale.ROOT, format, value);
  }

  private void printHead(ObjectNode result) {
    System.out.printf(
        "%n%s, driver %s (%s), commit %s, %s, %s, PyTorch %s; medians of %d rounds%n",
        result.path("device").asText(),
        result.path("driver_release").asText(),
        result.path("driver").asText(),
        result.path("commit").asText(),
        result.path("date").asText(),
        cublas.map(MatmulBaseline::name).orElse("no cuBLAS"),
        result.path("torch").asText(),
        rounds);
    if (cuda.properties().emulated()) {
      System.out.println("The emulated device: these times mean nothing.");
    }
    System.out.printf(
        "Host time of a launch: FFM %d ns, JCuda %d ns. Ratios: their time over ours, above 1 we are faster.%n%n",
        result.path("host_ns_per_launch_ffm").asLong(),
        result.path("host_ns_per_launch_jcuda").asLong());
    System.out.printf(
        "| case | Javelin ms | rate | of the ceiling | cuBLAS / Javelin | PyTorch / Javelin |%n");
    System.out.printf("|---|---|---|---|---|---|%n");
  }

  private void printAbsent(Path file) {
    absent.forEach(
        (reason, names) ->
            System.out.printf(
                "%nn/a, %s (%s)%n",
                reason, names.size() > 4 ? names.size() + " cases" : String.join("; ", names)));
    System.out.printf("%nwritten: %s%n", file);
  }
}
