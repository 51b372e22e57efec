package dev.javelin.tensor.op;

import static dev.javelin.tensor.op.Operands.adds;
import static dev.javelin.tensor.op.Operands.flag;
import static dev.javelin.tensor.op.Operands.tensorOf;

import dev.javelin.device.Cuda;
import dev.javelin.device.DType;
import dev.javelin.device.DeviceMemory;
import dev.javelin.device.Launch;
import dev.javelin.tensor.Grad;
import dev.javelin.tensor.Layout;
import dev.javelin.tensor.Shape;
import dev.javelin.tensor.Tensor;
import org.jspecify.annotations.Nullable;

/** The launches of {@code attention_forward.cu} and {@code attention_backward.cu}. */
final class AttentionCuda {
  private static final int MIN_PART_KEYS = 256;
  private static final int COMBINE_ROWS = 4; // of a block
  private static final int DELTA_ROWS = 16; // of a block
  private static final int DELTA_ROWS_F32 = 128;
  private static final int STATS_ALIGNMENT = 64; // queries; at least the columns of any instance
  private static final long STATS_BYTES = 2 * Float.BYTES; // of a query

  private AttentionCuda() {}

  /**
   * An instance of a kernel: for head dimensions up to {@code dim}; a block has {@code rows} rows
   * and goes through the others in tiles of {@code columns}. The three are part of the kernel's
   * name, so that an instance that its source does not have is not found.
   */
  private record Instance(String name, int dim, int rows, int columns) {
    private static final int EXCHANGE_PADDING = 4; // floats

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
  static final int MAX_DIM = 256;

  private static final int MAX_JOINT_DIM = 128; // of a kernel for both dk and dv, in half types

  private static final Instance[] FORWARD =
      Instance.table(
          "attention_forward",
          new int[][] {
            {32, 128, 64},
            {64, 128, 64},
            {96, 128, 32},
            {128, 128, 32},
            {192, 64, 64},
            {256, 64, 64}
          });
  private static final Instance[] FORWARD_F32 =
      Instance.table("attention_forward", new int[][] {{64, 64, 32}, {128, 32, 32}, {256, 32, 16}});

  private static final Instance[] QUERIES =
      Instance.table(
          "attention_backward_queries",
          new int[][] {
            {32, 128, 32}, {64, 128, 32}, {96, 64, 32}, {128, 64, 32}, {192, 64, 32}, {256, 64, 16}
          });
  private static final int[][] KEYS_SIZES = {
    {32, 128, 32}, {64, 64, 64}, {96, 64, 32}, {128, 64, 32}, {192, 64, 32}, {256, 64, 16}
  };
  private static final Instance[] KEYS = Instance.table("attention_backward_keys", KEYS_SIZES);
  private static final Instance[] VALUES = Instance.table("attention_backward_values", KEYS_SIZES);
  private static final int[][] BACKWARD_F32 = {{64, 64, 32}, {128, 32, 16}, {256, 16, 8}};
  private static final Instance[] QUERIES_F32 =
      Instance.table("attention_backward_queries", BACKWARD_F32);
  private static final Instance[] KEYS_F32 =
      Instance.table("attention_backward_keys", BACKWARD_F32);

  /** Arguments as in {@link Attention#forward}. */
  static void forward(
      Cuda cuda,
      Tensor o,
      Tensor lse,
      Tensor q,
      Tensor k,
      Tensor v,
      AttentionMask mask,
      float scale) {
    int group = q.dim(2) / k.dim(2);
    if (q.dim(1) == 1 && group > 1 && seesByKeyAlone(mask, k.dim(1))) {
      AttentionMask all =
          AttentionMask.FULL.lengths(mask.lengths()).keys(mask.keys()).softCap(mask.softCap());
      forward(cuda, groupAsQueries(o, group), lse, groupAsQueries(q, group), k, v, all, scale);
      return;
    }
    DType type = q.dtype();
    Instance instance = Instance.of(type == DType.F32 ? FORWARD_F32 : FORWARD, q.last());
    long blocks = blocks(q.dim(1), instance, q.dim(2), q.dim(0));
    int parts = parts(cuda, blocks, k.dim(1));
    DeviceMemory partial =
        parts == 1 ? null : cuda.scratch(DType.F32.bytes(parts * (o.elements() + lse.elements())));
    Launch launch =
        cuda.kernel(instance.name, type)
            .grid(blocks, parts)
            .shared(instance.sharedBytes(type, 1, 2));
    heads(launch, o);
    launch.ptr(lse).ptr(partial);
    heads(launch, q);
    heads(launch, k);
    heads(launch, v);
    rule(launch, q, k, mask, scale).run();
    if (partial != null) {
      Launch combine =
          cuda.kernel("attention_forward_combine", type)
              .grid(Math.ceilDiv(lse.elements(), COMBINE_ROWS));
      heads(combine, o);
      combine
          .ptr(lse)
          .ptr(partial)
          .i32(parts)
          .i64(lse.elements())
          .i32(q.dim(1))
          .i32(q.dim(2))
          .i32(q.last())
          .run();
    }
  }

  /**
   * Whether the last position's mask and scores are the same for each head and without a position,
   * as in most decoding. Then the heads that share keys can be the queries of one head, and a block
   * reads the keys once for all of them.
   */
  private static boolean seesByKeyAlone(AttentionMask m, int keys) {
    boolean windowed = m.window() > 0 && m.window() < keys;
    return !windowed && m.documentStarts() == null && m.slopes() == null;
  }

  /** [B, 1, H, D] as [B, group, H / group, D]: head {@code h} is query {@code h % group}. */
  private static Tensor groupAsQueries(Tensor t, int group) {
    Shape shape = Shape.of(t.dim(0), group, t.dim(2) / group, t.last());
    return t.as(Layout.of(shape, t.stride(0), t.stride(2), group * t.stride(2), t.stride(3)));
  }

  /**
   * Into how many parts the keys of a block are cut where there are too few blocks to occupy the
   * GPU, as in decoding: by sizes and multiprocessors alone, so that sums have one order.
   */
  private static int parts(Cuda cuda, long blocks, int keys) {
    long wanted = 2L * cuda.properties().multiprocessors() / Math.max(1, blocks);
    return (int) Math.clamp(wanted, 1, Math.max(1, keys / MIN_PART_KEYS));
  }

  /** Arguments as in {@link Attention#backward}. */
  static void backward(
      Cuda cuda,
      @Nullable Grad dq,
      @Nullable Grad dk,
      @Nullable Grad dv,
      Tensor dy,
      Tensor o,
      Tensor lse,
      Tensor q,
      Tensor k,
      Tensor v,
      AttentionMask mask,
      float scale) {
    if (dq == null && dk == null && dv == null) {
      return;
    }
    DType type = q.dtype();
    boolean simt = type == DType.F32;
    int padded = Math.ceilDiv(q.dim(1), STATS_ALIGNMENT) * STATS_ALIGNMENT;
    long rows = (long) q.dim(0) * padded * q.dim(2);
    Backward pass =
        new Backward(cuda, cuda.scratch(rows * STATS_BYTES), padded, dy, q, k, v, mask, scale);
    delta(cuda, pass.stats, dy, o, lse, rows, padded);
    int dim = q.last();
    if (dq != null) {
      pass.run(Instance.of(simt ? QUERIES_F32 : QUERIES, dim), dq, null, q, 2);
    }
    if (simt || dim <= MAX_JOINT_DIM) {
      if (dk != null || dv != null) {
        pass.run(Instance.of(simt ? KEYS_F32 : KEYS, dim), dk, dv, k, 2);
      }
      return;
    }
    if (dk != null) {
      pass.run(Instance.of(KEYS, dim), dk, null, k, 2);
    }
    if (dv != null) {
      pass.run(Instance.of(VALUES, dim), null, dv, k, 1);
    }
  }

  /** The statistics of each query that both kernels of the backward pass want. */
  private static void delta(
      Cuda cuda, DeviceMemory stats, Tensor dy, Tensor o, Tensor lse, long rows, int padded) {
    int blockRows = dy.dtype() == DType.F32 ? DELTA_ROWS_F32 : DELTA_ROWS;
    Launch launch =
        cuda.kernel("attention_backward_delta", dy.dtype())
            .grid(Math.ceilDiv(rows, blockRows))
            .ptr(stats);
    heads(launch, dy);
    heads(launch, o);
    launch.ptr(lse).i64(rows).i32(dy.dim(1)).i32(padded).i32(dy.dim(2)).i32(dy.last()).run();
  }

  private record Backward(
      Cuda cuda,
      DeviceMemory stats,
      int padded,
      Tensor dy,
      Tensor q,
      Tensor k,
      Tensor v,
      AttentionMask mask,
      float scale) {

    /**
     * @param of the tensor whose positions and heads have blocks
     * @param rowTiles tensors of which a block keeps rows
     */
    void run(
        Instance instance, @Nullable Grad first, @Nullable Grad second, Tensor of, int rowTiles) {
      DType type = q.dtype();
      int shared = instance.sharedBytes(type, rowTiles, 4);
      if (of == k) { // statistics of queries in two stages
        shared += (int) (2 * instance.columns * STATS_BYTES);
      }
      Launch launch =
          cuda.kernel(instance.name, type)
              .grid(blocks(of.dim(1), instance, of.dim(2), of.dim(0)))
              .shared(shared);
      heads(launch, tensorOf(first));
      launch.i32(adds(first));
      heads(launch, tensorOf(second));
      launch.i32(adds(second));
      heads(launch, dy);
      heads(launch, q);
      heads(launch, k);
      heads(launch, v);
      launch.ptr(stats).i32(padded);
      rule(launch, q, k, mask, scale).run();
    }
  }

  private static long blocks(int positions, Instance instance, int heads, int batch) {
    return (long) Math.ceilDiv(positions, instance.rows) * heads * batch;
  }

  private static void heads(Launch launch, @Nullable Tensor t) {
    if (t == null) {
      launch.ptr(null).i64(0).i64(0).i64(0);
    } else {
      launch.ptr(t).i64(t.stride(0)).i64(t.stride(1)).i64(t.stride(2));
    }
  }

  private static Launch rule(Launch launch, Tensor q, Tensor k, AttentionMask m, float scale) {
    return launch
        .i32(q.dim(1))
        .i32(k.dim(1))
        .i32(q.dim(2))
        .i32(q.dim(2) / k.dim(2))
        .i32(q.last())
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
