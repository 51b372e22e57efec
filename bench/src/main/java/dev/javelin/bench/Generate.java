package dev.javelin.bench;

import dev.javelin.autograd.Tape;
import dev.javelin.device.Cpu;
import dev.javelin.device.DType;
import dev.javelin.device.Memory;
import dev.javelin.device.Turn;
import dev.javelin.nn.Grouping;
import dev.javelin.nn.Init;
import dev.javelin.nn.KvCache;
import dev.javelin.nn.ParameterBuffer;
import dev.javelin.nn.Precision;
import dev.javelin.nn.Transformer;
import dev.javelin.nn.TransformerConfig;
import dev.javelin.nn.family.Presets;
import dev.javelin.tensor.Shape;
import dev.javelin.tensor.Tensor;
import dev.javelin.tensor.step.Workspace;
import dev.javelin.train.settings.Quantize;
import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Locale;
import java.util.Random;

/**
 * Tokens a second on the CPU: prefill of a prompt, and decoding of sequences in one pass, against
 * the machine's copy bandwidth. Copying and each case take turns, round by round; the bandwidth is
 * bytes read and written, a case's is the bytes of weights that it reads. Ratios are medians over
 * the rounds. int8 and nf4 are linear layers in so few bits, the rest in bf16; int8-int8 and
 * nf4-int8 the same with activations of 8 bits.
 *
 * <pre>
 * Generate [preset [rounds [fp32,bf16,int8,nf4,int8-int8,nf4-int8]]]
 * </pre>
 */
final class Generate {
  private static final int PROMPT = 512;
  private static final int CONTEXT = 130; // inside a page of the cache, which is then kept
  private static final int[] BATCHES = {1, 2, 4, 8, 16, 32};
  private static final long COPY_BYTES = 256L << 20;
  private static final int COPY_PIECE = 1 << 20;
  private static final int STEPS = 3; // decode steps of a round

  private Generate() {}

  public static void main(String[] args) {
    String preset = args.length > 0 ? args[0] : "llama-124m";
    int rounds = args.length > 1 ? Integer.parseInt(args[1]) : 9;
    String[] types = (args.length > 2 ? args[2] : "fp32,bf16").split(",");
    try (Cpu cpu = Cpu.open();
        Copy copy = new Copy(cpu)) {
      System.out.printf(Locale.ROOT, "%s on %s, %d rounds%n%n", preset, cpu, rounds);
      System.out.println(
          "| case | tokens/s | ms a pass | weights GB/s | copy GB/s | weights / copy | against batch 1 |");
      System.out.println("|---|---|---|---|---|---|---|");
      for (String type : types) {
        run(cpu, copy, Presets.named(preset), type, rounds);
      }
    }
  }

  private static void run(Cpu cpu, Copy copy, TransformerConfig config, String type, int rounds) {
    Precision precision = type.equals("fp32") ? Precision.FP32 : Precision.BF16;
    boolean int8 = type.endsWith("-int8");
    String weights = type.replace("-int8", "");
    String format = weights.equals("int8") || weights.equals("nf4") ? weights : "none";
    try (ParameterBuffer<Transformer> buffer =
            Transformer.allocate(cpu, config, precision, Quantize.named(format).frozen(int8));
        Workspace workspace = Workspace.on(cpu)) {
      fill(cpu, config, buffer);
      Case prefill = new Case(cpu, workspace, buffer, 1, PROMPT);
      List<Case> cases = new ArrayList<>();
      cases.add(prefill);
      for (int batch : BATCHES) {
        cases.add(new Case(cpu, workspace, buffer, batch, 0));
      }
      cases.forEach(Case::warm);
      copy.run();
      double[][] nanos = new double[cases.size()][rounds];
      double[][] shares = new double[cases.size()][rounds];
      double[] copied = new double[rounds * cases.size()];
      for (int r = 0; r < rounds; r++) {
        for (int c = 0; c < cases.size(); c++) {
          double before = copy.run();
          nanos[c][r] = cases.get(c).round();
          double bandwidth = (before + copy.run()) / 2;
          copied[r * cases.size() + c] = bandwidth;
          shares[c][r] = cases.get(c).weightBytes() / nanos[c][r] / bandwidth;
        }
      }
      for (int c = 0; c < cases.size(); c++) {
        Case k = cases.get(c);
        double pass = median(nanos[c]);
        double[] gains = new double[rounds];
        for (int r = 0; r < rounds; r++) {
          gains[r] = k.tokens() / nanos[c][r] / (1 / nanos[1][r]);
        }
        System.out.printf(
            Locale.ROOT,
            "| %s %s | %.1f | %.2f | %.2f | %.2f | %s | %s |%n",
            type,
            k.name(),
            k.tokens() * 1e9 / pass,
            pass / 1e6,
            k.weightBytes() / pass,
            median(copied),
            c == 0 ? "" : "%.2f".formatted(median(shares[c])),
            c == 0 ? "" : "%.2f".formatted(median(gains)));
      }
      cases.forEach(Case::close);
    }
  }

  /** Draws weights, whatever type they are kept in. */
  static void fill(Cpu cpu, TransformerConfig config, ParameterBuffer<Transformer> buffer) {
    try (ParameterBuffer<Transformer> drawn =
        Transformer.allocate(cpu, config, Precision.FP32, Grouping.frozen())) {
      Init.normal(drawn, 1);
      drawn
          .named()
          .forEach(
              (name, p) -> {
                float[] values = drawn.values(p);
                int row = p.value().last();
                for (int at = 0; at < values.length; at += row) {
                  float[] part = Arrays.copyOfRange(values, at, at + row);
                  buffer.put(buffer.get(name), at, part, row);
                }
              });
    }
  }

  /** One pass; the logits live until the next. */
  static Tensor read(
      Workspace workspace, Transformer model, List<KvCache> caches, int[] ids, int... counts) {
    try (Turn _ = model.tokens().value().device().turn()) {
      workspace.reset();
      Tensor tokens = workspace.alloc(DType.I32, Shape.of(1, ids.length));
      tokens.fromHost(MemorySegment.ofArray(ids));
      return model.next(Tape.inference(workspace), tokens, caches, counts);
    }
  }

  static double median(double[] values) {
    double[] sorted = values.clone();
    Arrays.sort(sorted);
    return sorted[sorted.length / 2];
  }

  /** A prompt read afresh in each pass, or sequences that each read a token in each pass. */
  private static final class Case implements AutoCloseable {
    private final Workspace workspace;
    private final Transformer model;
    private final long bytes;
    private final int batch;
    private final int prompt;
    private final List<KvCache> caches = new ArrayList<>();
    private final Random random = new Random(5);

    Case(Cpu cpu, Workspace workspace, ParameterBuffer<Transformer> buffer, int batch, int prompt) {
      this.workspace = workspace;
      this.model = buffer.model();
      this.bytes = buffer.weightBytes();
      this.batch = batch;
      this.prompt = prompt;
      for (int i = 0; i < batch; i++) {
        caches.add(KvCache.open(cpu, model.config(), model.tokens().value().dtype()));
      }
    }

    String name() {
      return prompt > 0 ? "prefill of " + prompt : "decode, batch " + batch;
    }

    int tokens() {
      return prompt > 0 ? prompt : batch;
    }

    /** Of the blocks and the head; of the token table a pass reads a row a token. */
    long weightBytes() {
      Tensor table = model.tokens().value();
      return bytes - (model.head() == null ? 0 : table.dtype().bytes(table.elements()));
    }

    void warm() {
      if (prompt == 0) {
        for (KvCache cache : caches) {
          pass(List.of(cache), CONTEXT);
        }
      }
      for (int i = 0; i < 3; i++) {
        round();
      }
    }

    /** Nanoseconds of a pass. */
    double round() {
      int passes = prompt > 0 ? 1 : STEPS;
      long start = System.nanoTime();
      for (int i = 0; i < passes; i++) {
        if (prompt > 0) {
          caches.getFirst().truncate(0);
          pass(caches, prompt);
        } else {
          pass(caches, 1);
        }
      }
      long nanos = System.nanoTime() - start;
      if (prompt == 0) {
        caches.forEach(cache -> cache.truncate(CONTEXT));
      }
      return (double) nanos / passes;
    }

    private void pass(List<KvCache> of, int each) {
      int[] ids = random.ints((long) of.size() * each, 0, model.config().vocab()).toArray();
      int[] counts = new int[of.size()];
      Arrays.fill(counts, each);
      read(workspace, model, of, ids, counts);
    }

    @Override
    public void close() {
      caches.forEach(KvCache::close);
    }
  }

  /** Copies a block that no cache holds. */
  static final class Copy implements AutoCloseable {
    private final Cpu cpu;
    private final Memory from;
    private final Memory to;

    Copy(Cpu cpu) {
      this.cpu = cpu;
      this.from = cpu.allocate(COPY_BYTES);
      this.to = cpu.allocate(COPY_BYTES);
      Tensor.of(from, 0, DType.U8, Shape.of((int) COPY_BYTES)).segment().fill((byte) 1);
    }

    /** GB a second, read and written. */
    double run() {
      MemorySegment a = Tensor.of(from, 0, DType.U8, Shape.of((int) COPY_BYTES)).segment();
      MemorySegment b = Tensor.of(to, 0, DType.U8, Shape.of((int) COPY_BYTES)).segment();
      long start = System.nanoTime();
      cpu.parallel(
          (int) (COPY_BYTES / COPY_PIECE),
          1,
          (first, end) -> {
            for (long i = first; i < end; i++) {
              MemorySegment.copy(a, i * COPY_PIECE, b, i * COPY_PIECE, COPY_PIECE);
            }
          });
      return 2.0 * COPY_BYTES / (System.nanoTime() - start);
    }

    @Override
    public void close() {
      from.close();
      to.close();
    }
  }
}
