package dev.javelin.bench;

import dev.javelin.device.Cpu;
import dev.javelin.device.DType;
import dev.javelin.kernels.Quantization;
import dev.javelin.kernels.cpu.LinearCpu;
import dev.javelin.kernels.cpu.QuantizedView;
import dev.javelin.kernels.cpu.Rows;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.Arrays;
import java.util.Locale;
import java.util.Random;

/**
 * What a product of a few rows with a weight [2048, 768] costs, by the type of the weight: weights
 * are so many that no cache holds them, as in decoding. Copying and the products take turns; the
 * medians over the rounds. Beside {@code -Djavelin.native=false} it shows what machine code gains.
 * int8-int8 and nf4-int8 are weights of int8 and nf4 with activations of 8 bits.
 *
 * <pre>
 * FewRows [threads [rounds [fp32,bf16,fp16,int8,nf4,int8-int8,nf4-int8 [rows,...]]]]
 * </pre>
 */
final class FewRows {
  private static final int OUT = 2048;
  private static final int IN = 768;
  private static final long POOL_BYTES = 256L << 20;

  private FewRows() {}

  public static void main(String[] args) {
    int threads = args.length > 0 ? Integer.parseInt(args[0]) : 1;
    int rounds = args.length > 1 ? Integer.parseInt(args[1]) : 9;
    String[] types =
        (args.length > 2 ? args[2] : "fp32,bf16,fp16,int8,nf4,int8-int8,nf4-int8").split(",");
    int[] rows =
        Arrays.stream((args.length > 3 ? args[3] : "1,2,4,8,16,32").split(","))
            .mapToInt(Integer::parseInt)
            .toArray();
    int most = Arrays.stream(rows).max().orElse(1);
    try (Cpu cpu = Cpu.open(threads);
        Generate.Copy copy = new Generate.Copy(cpu)) {
      System.out.printf(Locale.ROOT, "[m, %d] x [%d, %d], %s%n%n", IN, OUT, IN, cpu);
      System.out.println(
          "| weight | rows | us a product | shortest | weights GB/s | copy GB/s | weights / copy |");
      System.out.println("|---|---|---|---|---|---|---|");
      for (String type : types) {
        run(cpu, copy, type, rows, rounds, most);
      }
    }
  }

  private static void run(
      Cpu cpu, Generate.Copy copy, String type, int[] rows, int rounds, int most) {
    try (Arena arena = Arena.ofShared()) {
      Pool pool = new Pool(cpu, arena, type, most);
      double[][] nanos = new double[rows.length][rounds];
      double[][] shares = new double[rows.length][rounds];
      double[] copied = new double[rounds];
      for (int m : rows) { // compiled before it counts
        pool.pass(m);
        pool.pass(m);
      }
      for (int r = 0; r < rounds; r++) {
        for (int i = 0; i < rows.length; i++) {
          copied[r] = copy.run();
          nanos[i][r] = pool.pass(rows[i]);
          shares[i][r] = pool.bytes / nanos[i][r] / copied[r];
        }
      }
      for (int i = 0; i < rows.length; i++) {
        double each = Generate.median(nanos[i]);
        System.out.printf(
            Locale.ROOT,
            "| %s | %d | %.1f | %.1f | %.2f | %.2f | %.2f |%n",
            type,
            rows[i],
            each / 1e3,
            Arrays.stream(nanos[i]).min().orElseThrow() / 1e3,
            pool.bytes / each,
            Generate.median(copied),
            Generate.median(shares[i]));
      }
    }
  }

  /** Weights of one type, of which each product takes the next. */
  private static final class Pool {
    private static final byte SMALL = 0x3C; // sign and exponent of a small float of any type

    final long bytes;
    private final Cpu cpu;
    private final String type;
    private final MemorySegment[] weights;
    private final MemorySegment x;
    private final MemorySegment y;

    Pool(Cpu cpu, Arena arena, String type, int most) {
      this.cpu = cpu;
      this.type = type;
      this.bytes = isQuantized() ? format().bytes(OUT, IN) : dtype().bytes((long) OUT * IN);
      this.weights = new MemorySegment[(int) (POOL_BYTES / bytes)];
      Random random = new Random(1);
      byte[] drawn = new byte[(int) bytes];
      random.nextBytes(drawn);
      int each = type.equals("bf16") || type.equals("fp16") ? 2 : 4;
      for (int i = each - 1; i < drawn.length; i += each) {
        drawn[i] = SMALL; // no float among them is huge, subnormal or no number
      }
      for (int i = 0; i < weights.length; i++) {
        weights[i] = arena.allocate(bytes, 64).copyFrom(MemorySegment.ofArray(drawn));
      }
      this.x = arena.allocate(4L * most * IN, 64);
      this.y = arena.allocate(4L * most * OUT, 64);
      for (int i = 0; i < most * IN; i++) {
        x.setAtIndex(ValueLayout.JAVA_FLOAT, i, random.nextFloat());
      }
    }

    private boolean isQuantized() {
      return type.startsWith("int8") || type.startsWith("nf4");
    }

    private boolean int8Activations() {
      return type.endsWith("-int8");
    }

    private Quantization format() {
      return Quantization.valueOf(type.replace("-int8", "").toUpperCase(Locale.ROOT));
    }

    private DType dtype() {
      return switch (type) {
        case "fp32" -> DType.F32;
        case "bf16" -> DType.BF16;
        case "fp16" -> DType.F16;
        default -> throw new IllegalArgumentException("no weights of " + type);
      };
    }

    /** Nanoseconds of a product. */
    double pass(int m) {
      Rows in = new Rows(x, DType.F32, m, IN, IN, false);
      Rows out = new Rows(y, DType.F32, m, OUT, OUT, false);
      long start = System.nanoTime();
      for (MemorySegment w : weights) {
        if (int8Activations()) {
          LinearCpu.forwardInt8(
              cpu, out, null, in, new QuantizedView(w, format(), OUT, IN), null, null);
        } else if (isQuantized()) {
          LinearCpu.forward(
              cpu, out, null, in, new QuantizedView(w, format(), OUT, IN), null, null);
        } else {
          LinearCpu.forward(
              cpu, out, null, in, new Rows(w, dtype(), OUT, IN, IN, false), null, null);
        }
      }
      return (double) (System.nanoTime() - start) / weights.length;
    }
  }
}
