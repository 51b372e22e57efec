package dev.javelin.kernels.cuda;

import static dev.javelin.kernels.cuda.CudaRows.flag;

import dev.javelin.device.Addressable;
import dev.javelin.device.Cuda;
import dev.javelin.device.CudaKernel;
import dev.javelin.device.DType;
import dev.javelin.device.DeviceMemory;
import dev.javelin.device.Launch;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import org.jspecify.annotations.Nullable;

/** {@code attention_forward.cu} and {@code attention_backward.cu}. */
public final class AttentionCuda {
  private static final int MIN_PART_KEYS = 256;
  static final int EXCHANGE_PADDING = 4; // floats of a row
  static final int DELTA_LANES = 8; // of a row of a half type; one of F32
  static final int STATS_ALIGNMENT = 64; // queries; at least the columns of any instance
  private static final long STATS_BYTES = 2 * Float.BYTES; // of a query

  private AttentionCuda() {}

  /**
   * An instance of a kernel: for head dimensions up to {@code dim}; a block has {@code rows} rows
   * and goes through the others in tiles of {@code columns}. The three are part of the kernel's
   * name, so that an instance that its source does not have is not found.
   */
  private record Instance(String name, int dim, int rows, int columns) {
    /** Bytes of shared memory: tiles of whole rows, and what fp32 exchanges within warps. */
    int sharedBytes(DType type, int rowTiles, int columnTiles) {
      boolean simt = type == DType.F32;
      int stride = dim + (simt ? EXCHANGE_PADDING : 0);
      int elements = (rowTiles * rows + columnTiles * columns) * stride;
      int exchange = simt ? rows * (columns + EXCHANGE_PADDING) * Float.BYTES : 0;
      return (int) type.bytes(elements) + exchange;
    }

    static Instance of(Instance[] instances, int dim) {
      for (Instance i : instances) {
        if (dim <= i.dim) {
          return i;
        }
      }
      throw new IllegalArgumentException("no kernel for a head dimension of " + dim);
    }

    /** By D, rows and columns. */
    static Instance[] table(String name, int[]... sizes) {
      Instance[] table = new Instance[sizes.length];
      for (int i = 0; i < sizes.length; i++) {
        int[] s = sizes[i];
        String instance = "%s_d%d_%dx%d".formatted(name, s[0], s[1], s[2]);
        table[i] = new Instance(instance, s[0], s[1], s[2]);
      }
      return table;
    }
  }

  /** The largest head dimension that there are kernels for. */
  public static final int MAX_DIM = 256;

  private static final int MAX_JOINT_DIM = 128; // of a kernel for both dk and dv, in half types

  /** What there is for each head dimension, with dropout of weights or without. */
  private record Kernels(
      Instance[] forward,
      Instance[] forwardF32,
      Instance[] queries,
      Instance[] queriesF32,
      Instance[] keys,
      Instance[] keysF32,
      Instance[] values) {

    static final Kernels PLAIN =
        of(
            "",
            new int[][] {
              {32, 128, 64}, {64, 128, 64}, {96, 128, 32},
              {128, 128, 32}, {192, 64, 64}, {256, 64, 64}
            });

    /** Random numbers want registers: smaller tiles where they would spill. */
    static final Kernels DROPPED =
        of(
            "_dropped",
            new int[][] {
              {32, 128, 64}, {64, 128, 64}, {96, 128, 32},
              {128, 64, 64}, {192, 64, 64}, {256, 64, 32}
            });

    static Kernels of(@Nullable CudaDropout dropout) {
      return dropout == null ? PLAIN : DROPPED;
    }

    private static Kernels of(String kind, int[][] forward) {
      int[][] queries = {
        {32, 128, 32}, {64, 128, 32}, {96, 64, 32}, {128, 64, 32}, {192, 64, 32}, {256, 64, 16}
      };
      int[][] keys = {
        {32, 128, 32}, {64, 64, 64}, {96, 64, 32}, {128, 64, 32}, {192, 64, 32}, {256, 64, 16}
      };
      int[][] f32 = {{64, 64, 32}, {128, 32, 16}, {256, 16, 8}};
      return new Kernels(
          Instance.table("attention_forward" + kind, forward),
          Instance.table(
              "attention_forward" + kind, new int[][] {{64, 64, 32}, {128, 32, 32}, {256, 32, 16}}),
          Instance.table("attention_backward_queries" + kind, queries),
          Instance.table("attention_backward_queries" + kind, f32),
          Instance.table("attention_backward_keys" + kind, keys),
          Instance.table("attention_backward_keys" + kind, f32),
          Instance.table("attention_backward_values" + kind, keys));
    }
  }

  /** The names of all kernels that may be asked for. */
  static List<String> instances() {
    List<String> names = new ArrayList<>();
    for (Kernels k : List.of(Kernels.PLAIN, Kernels.DROPPED)) {
      for (Instance[] table : List.of(k.forward, k.queries, k.keys, k.values)) {
        for (Instance i : table) {
          if (!Arrays.equals(table, k.values) || i.dim > MAX_JOINT_DIM) {
            names.add(i.name + "_bf16");
            names.add(i.name + "_f16");
          }
        }
      }
      for (Instance[] table : List.of(k.forwardF32, k.queriesF32, k.keysF32)) {
        for (Instance i : table) {
          names.add(i.name + "_f32");
        }
      }
    }
    return names;
  }

  /**
   * Attention of the heads q to k and v; lse F32 [B, H, Tq].
   *
   * @param dropout of the weights; {@code null} for none
   */
  public static void forward(
      Cuda cuda,
      CudaHeads o,
      Addressable lse,
      CudaHeads q,
      CudaHeads k,
      CudaHeads v,
      CudaMask mask,
      float scale,
      @Nullable CudaDropout dropout) {
    int group = q.heads() / k.heads();
    if (dropout == null && q.time() == 1 && group > 1 && seesByKeyAlone(mask, k.time())) {
      CudaMask all =
          new CudaMask(false, 0, mask.softCap(), mask.lengths(), mask.keys(), null, null);
      forward(
          cuda, groupAsQueries(o, group), lse, groupAsQueries(q, group), k, v, all, scale, null);
      return;
    }
    if (dropout == null
        && occupies(cuda, q, k)
        && AttentionHopper.fits(cuda, o, q, k, v, mask, scale)) {
      AttentionHopper.forward(cuda, o, lse, q, k, v, mask, scale);
      return;
    }
    DType type = q.type();
    Kernels kernels = Kernels.of(dropout);
    Instance instance =
        Instance.of(type == DType.F32 ? kernels.forwardF32 : kernels.forward, q.dim());
    long blocks = blocks(q.time(), instance, q.heads(), q.batch());
    int parts = parts(cuda, blocks, k.time());
    DeviceMemory partial =
        parts == 1 ? null : cuda.scratch(DType.F32.bytes(parts * q.rows() * (q.dim() + 1)));
    Launch launch =
        cuda.kernel(instance.name, type)
            .grid(blocks, parts)
            .shared(instance.sharedBytes(type, 1, 2));
    heads(launch, o);
    launch.ptr(lse).ptr(partial);
    heads(launch, q);
    heads(launch, k);
    heads(launch, v);
    dropped(masked(launch, q, k, mask, scale), dropout).run();
    if (partial != null) {
      CudaKernel kernel = cuda.kernel("attention_forward_combine", type);
      Launch combine = kernel.grid(RowGrid.blocks(kernel, q.rows()));
      heads(combine, o);
      combine
          .ptr(lse)
          .ptr(partial)
          .i32(parts)
          .i64(q.rows())
          .i32(q.time())
          .i32(q.heads())
          .i32(q.dim())
          .run();
    }
  }

  /** Queries of a block of the forward pass for 9.0. */
  public static int hopperQueries(int dim) {
    return AttentionHopper.rows(dim);
  }

  /** Query heads of which blocks of the forward pass for 9.0 take up all before the next. */
  public static int hopperHeadsAtOnce(int batch, int heads, int keyHeads, int keys, int dim) {
    return AttentionHopper.headsAtOnce(batch * keyHeads, heads / keyHeads, keys, dim);
  }

  /**
   * Whether {@link AttentionHopper}, which does not cut keys into parts, would leave no
   * multiprocessor and no warpgroup without work: its blocks have one each for themselves.
   */
  private static boolean occupies(Cuda cuda, CudaHeads q, CudaHeads k) {
    return q.time() >= AttentionHopper.ROWS_OF_RESULTS
        && parts(cuda, 2 * AttentionHopper.work(q), k.time()) == 1;
  }

  /**
   * Whether the last position's mask and scores are the same for each head and without a position,
   * as in most decoding. Then the heads that share keys can be the queries of one head, and a block
   * reads the keys once for all of them.
   */
  private static boolean seesByKeyAlone(CudaMask m, int keys) {
    boolean windowed = m.window() > 0 && m.window() < keys;
    return !windowed && m.documentStarts() == null && m.slopes() == null;
  }

  /** [B, 1, H, D] as [B, group, H / group, D]: head {@code h} is query {@code h % group}. */
  private static CudaHeads groupAsQueries(CudaHeads h, int group) {
    return new CudaHeads(
        h.data(),
        h.type(),
        h.batch(),
        group,
        h.heads() / group,
        h.dim(),
        h.batchStride(),
        h.headStride(),
        group * h.headStride(),
        h.accumulate());
  }

  /**
   * Into how many parts the keys of a block are cut where there are too few blocks to occupy the
   * GPU, as in decoding: by sizes and multiprocessors alone, so that sums have one order.
   */
  private static int parts(Cuda cuda, long blocks, int keys) {
    long wanted = 2L * cuda.properties().multiprocessors() / Math.max(1, blocks);
    return Math.clamp(wanted, 1, Math.max(1, keys / MIN_PART_KEYS));
  }

  /**
   * The gradients of {@link #forward}, whose dropout is drawn again; any destination may be {@code
   * null}.
   */
  public static void backward(
      Cuda cuda,
      @Nullable CudaHeads dq,
      @Nullable CudaHeads dk,
      @Nullable CudaHeads dv,
      CudaHeads dy,
      CudaHeads o,
      Addressable lse,
      CudaHeads q,
      CudaHeads k,
      CudaHeads v,
      CudaMask mask,
      float scale,
      @Nullable CudaDropout dropout) {
    if (dq == null && dk == null && dv == null) {
      return;
    }
    DType type = q.type();
    boolean simt = type == DType.F32;
    int padded = Math.ceilDiv(q.time(), STATS_ALIGNMENT) * STATS_ALIGNMENT;
    long rows = (long) q.batch() * padded * q.heads();
    long statsBytes = rows * STATS_BYTES;
    if (dq != null
        && dk != null
        && dv != null
        && dropout == null
        && AttentionBackwardHopper.fits(cuda, dq, dk, dv, dy, q, k, v, mask, scale)) {
      long sumBytes = AttentionBackwardHopper.sumBytes(q, padded);
      long turnBytes = AttentionBackwardHopper.turnBytes(q, padded);
      DeviceMemory stats = cuda.scratch(statsBytes + sumBytes + turnBytes);
      delta(cuda, stats, dy, o, lse, rows, padded);
      Addressable sums = stats.plus(statsBytes);
      Addressable turns = sums.plus(sumBytes);
      AttentionBackwardHopper.run(
          cuda, dq, dk, dv, dy, q, k, v, sums, turns, stats, padded, mask, scale);
      return;
    }
    Backward pass =
        new Backward(cuda, cuda.scratch(statsBytes), padded, dy, q, k, v, mask, scale, dropout);
    delta(cuda, pass.stats, dy, o, lse, rows, padded);
    int dim = q.dim();
    Kernels kernels = Kernels.of(dropout);
    if (dq != null) {
      pass.run(Instance.of(simt ? kernels.queriesF32 : kernels.queries, dim), dq, null, false, 2);
    }
    if (simt || dim <= MAX_JOINT_DIM) {
      if (dk != null || dv != null) {
        pass.run(Instance.of(simt ? kernels.keysF32 : kernels.keys, dim), dk, dv, true, 2);
      }
      return;
    }
    if (dk != null) {
      pass.run(Instance.of(kernels.keys, dim), dk, null, true, 2);
    }
    if (dv != null) {
      pass.run(Instance.of(kernels.values, dim), null, dv, true, 1);
    }
  }

  /** The statistics of each query that both kernels of the backward pass want. */
  private static void delta(
      Cuda cuda,
      DeviceMemory stats,
      CudaHeads dy,
      CudaHeads o,
      Addressable lse,
      long rows,
      int padded) {
    CudaKernel kernel = cuda.kernel("attention_backward_delta", dy.type());
    int lanes = dy.type() == DType.F32 ? 1 : DELTA_LANES;
    Launch launch = kernel.grid(Math.ceilDiv(rows, kernel.blockSize() / lanes)).ptr(stats);
    heads(launch, dy);
    heads(launch, o);
    launch.ptr(lse).i64(rows).i32(dy.time()).i32(padded).i32(dy.heads()).i32(dy.dim()).run();
  }

  private record Backward(
      Cuda cuda,
      DeviceMemory stats,
      int padded,
      CudaHeads dy,
      CudaHeads q,
      CudaHeads k,
      CudaHeads v,
      CudaMask mask,
      float scale,
      @Nullable CudaDropout dropout) {

    /**
     * @param ofKeys whether positions and heads of k have blocks, or those of q
     * @param rowTiles operands of which a block keeps rows
     */
    void run(
        Instance instance,
        @Nullable CudaHeads first,
        @Nullable CudaHeads second,
        boolean ofKeys,
        int rowTiles) {
      DType type = q.type();
      CudaHeads of = ofKeys ? k : q;
      int shared = instance.sharedBytes(type, rowTiles, 4);
      if (ofKeys) { // statistics of queries in two stages
        shared += (int) (2L * instance.columns * STATS_BYTES);
      }
      Launch launch =
          cuda.kernel(instance.name, type)
              .grid(blocks(of.time(), instance, of.heads(), of.batch()))
              .shared(shared);
      heads(launch, first);
      launch.i32(flag(first != null && first.accumulate()));
      heads(launch, second);
      launch.i32(flag(second != null && second.accumulate()));
      heads(launch, dy);
      heads(launch, q);
      heads(launch, k);
      heads(launch, v);
      launch.ptr(stats).i32(padded);
      dropped(masked(launch, q, k, mask, scale), dropout).run();
    }
  }

  private static long blocks(int positions, Instance instance, int heads, int batch) {
    return (long) Math.ceilDiv(positions, instance.rows) * heads * batch;
  }

  static void heads(Launch launch, @Nullable CudaHeads h) {
    if (h == null) {
      launch.ptr(null).i64(0).i64(0).i64(0);
    } else {
      launch.ptr(h).i64(h.batchStride()).i64(h.timeStride()).i64(h.headStride());
    }
  }

  private static Launch dropped(Launch launch, @Nullable CudaDropout d) {
    return d == null
        ? launch
        : launch.ptr(d.state()).i32(d.site()).i32(d.threshold()).f32(d.scale());
  }

  static Launch masked(Launch launch, CudaHeads q, CudaHeads k, CudaMask m, float scale) {
    return launch
        .i32(q.time())
        .i32(k.time())
        .i32(q.heads())
        .i32(q.heads() / k.heads())
        .i32(q.dim())
        .f32(scale)
        .f32(m.softCap())
        .i32(flag(m.causal()))
        .i32(m.window())
        .ptr(m.lengths())
        .ptr(m.keys())
        .ptr(m.documentStarts())
        .ptr(m.slopes());
  }
}
