package dev.javelin.kernels.cuda;

import static java.util.Objects.requireNonNull;

import dev.javelin.device.Addressable;
import dev.javelin.device.Cuda;
import dev.javelin.device.CudaKernel;
import dev.javelin.device.DType;
import dev.javelin.device.Launch;
import dev.javelin.device.TensorMap;
import dev.javelin.kernels.CrossEntropyForm;
import org.jspecify.annotations.Nullable;

/**
 * Cross-entropy of {@code logits = x·wᵀ} on compute capability 9.0, half types, whose logits stay
 * in registers: {@code linear_cross_entropy_hopper.cuh}. Of a chunk of rows memory holds at most
 * the gradient of its logits, written once and read by the two products that need it.
 *
 * <ul>
 *   <li>Losses alone: one product, whose tiles leave statistics.
 *   <li>Gradients alone: the product again, whose tiles leave dlogits.
 *   <li>Both, bf16 and no label smoothing: one product, whose tiles leave exponentials relative to
 *       a number that is known before, the target's logit, and their sums. What is left to do for
 *       the gradient is to multiply rows: those of dx behind its product, those of x before the
 *       product of dw.
 *   <li>Both, else: losses, then gradients. fp16 has no room for such exponentials, and what
 *       smoothing takes off is not a multiple of them.
 * </ul>
 */
final class LinearCrossEntropyHopper {
  static final int COLUMNS = 256; // of a tile
  static final int FOLD_ROWS = 32; // of a block
  private static final int VECTOR = 8; // elements of half types in 16 bytes
  private static final int PLACE = 256; // bytes: where parts of the scratch memory begin

  private final Cuda cuda;
  private final CudaRows x;
  private final CudaRows w;
  private final Addressable targets;
  private final Addressable stats;
  private final @Nullable Addressable losses;
  private final CrossEntropyForm form;
  private final Room room;

  private LinearCrossEntropyHopper(
      Cuda cuda,
      CudaRows x,
      CudaRows w,
      Addressable targets,
      Addressable stats,
      @Nullable Addressable losses,
      CrossEntropyForm form,
      Room room) {
    this.cuda = cuda;
    this.x = x;
    this.w = w;
    this.targets = targets;
    this.stats = stats;
    this.losses = losses;
    this.form = form;
    this.room = room;
  }

  /** Where in the scratch memory of a chunk of rows what lies; offsets in bytes. */
  private record Room(
      Addressable data,
      long stride, // of dlogits, elements
      int tiles,
      long partial,
      long totals,
      long hits,
      long references,
      long scales,
      long scaled, // x
      long unscaled, // dx
      long columns, // of the last two, in whole vectors
      long bytes) {

    static Room of(CudaRows scratch, CudaRows x, int vocabulary) {
      long rows = scratch.count();
      long stride = vectors(vocabulary);
      long columns = vectors(x.cols());
      int tiles = Math.ceilDiv(vocabulary, COLUMNS);
      long partial = place(DType.BF16.bytes(rows * stride));
      long totals = partial + place(DType.F32.bytes(2 * rows * tiles));
      long hits = totals + place(DType.F32.bytes(rows * tiles));
      long references = hits + place(DType.F32.bytes(rows));
      long scales = references + place(DType.F32.bytes(rows));
      long scaled = scales + place(DType.F32.bytes(rows));
      long unscaled = scaled + place(DType.BF16.bytes(rows * columns));
      long bytes = unscaled + DType.F32.bytes(rows * columns);
      return new Room(
          scratch.data(),
          stride,
          tiles,
          partial,
          totals,
          hits,
          references,
          scales,
          scaled,
          unscaled,
          columns,
          bytes);
    }

    private static long vectors(int elements) {
      return (long) Math.ceilDiv(elements, VECTOR) * VECTOR;
    }

    private static long place(long bytes) {
      return Math.ceilDiv(bytes, PLACE) * PLACE;
    }

    Addressable at(long offset) {
      return data.plus(offset);
    }
  }

  /**
   * Whether there are kernels for these rows: half types whose rows begin at 16-byte boundaries, a
   * tile for each multiprocessor, and scratch memory for a chunk's intermediate results.
   */
  static boolean fits(Cuda cuda, CudaRows x, CudaRows w, @Nullable CudaRows dx, CudaRows scratch) {
    int multiprocessors = cuda.properties().multiprocessors();
    return MatmulHopper.isWanted(cuda)
        && x.type() != DType.F32
        && MatmulPlan.of(scratch.count(), w.count(), x.cols(), 1, multiprocessors).isBig()
        && hasRoom(x, w, dx, scratch);
  }

  /** The same, whatever the number of tiles. */
  static boolean hasRoom(CudaRows x, CudaRows w, @Nullable CudaRows dx, CudaRows scratch) {
    return isAligned(x)
        && isAligned(w)
        && (dx == null || isAligned(dx))
        && isAligned(scratch)
        && Room.of(scratch, x, w.count()).bytes
            <= DType.F32.bytes(scratch.count() * scratch.stride());
  }

  private static boolean isAligned(CudaRows rows) {
    return MatmulHopper.isAligned(rows.data(), rows.type(), rows.stride());
  }

  /** As {@link LinearCrossEntropyCuda#run}. */
  static void run(
      Cuda cuda,
      @Nullable Addressable losses,
      Addressable stats,
      @Nullable CudaRows dx,
      @Nullable CudaRows dw,
      @Nullable Addressable dy,
      CudaRows x,
      CudaRows w,
      Addressable targets,
      CrossEntropyForm form,
      CudaRows scratch) {
    Room room = Room.of(scratch, x, w.count());
    for (int from = 0; from < x.count(); from += scratch.count()) {
      int n = Math.min(scratch.count(), x.count() - from);
      var chunk =
          new LinearCrossEntropyHopper(
              cuda,
              x.from(from, n),
              w,
              targets.plus(DType.I32.bytes(from)),
              stats.plus(DType.F32.bytes(2L * from)),
              losses == null ? null : losses.plus(DType.F32.bytes(from)),
              form,
              room);
      CudaRows d = dx == null ? null : dx.from(from, n);
      Addressable upstream = dy == null ? null : dy.plus(DType.F32.bytes(from));
      chunk.run(upstream, d, dw, dw != null && (dw.accumulate() || from > 0));
    }
  }

  /** Whether one product serves losses and gradients. */
  static boolean isWeighed(DType type, CrossEntropyForm form) {
    return type == DType.BF16 && form.labelSmoothing() == 0;
  }

  private void run(
      @Nullable Addressable dy, @Nullable CudaRows dx, @Nullable CudaRows dw, boolean addToW) {
    boolean weighed = losses != null && dy != null && isWeighed(x.type(), form);
    if (losses != null && !weighed) {
      statistics();
    }
    if (dy == null) {
      return;
    }
    if (weighed) {
      weights(dy);
    } else {
      gradient(dy);
    }
    CudaRows d = logits();
    if (dx != null) {
      CudaRows to = weighed ? rows(room.unscaled, DType.F32) : dx;
      boolean add = !weighed && dx.accumulate();
      LinearCrossEntropyCuda.product(cuda, to, d.matrix(false), w.matrix(false), w.count(), add);
      if (weighed) {
        scale(dx, to);
      }
    }
    if (dw != null) {
      CudaRows from = x;
      if (weighed) {
        from = rows(room.scaled, x.type());
        scale(from, x);
      }
      LinearCrossEntropyCuda.product(
          cuda, dw, d.matrix(true), from.matrix(false), x.count(), addToW);
    }
  }

  /** Of the shape of x, in the scratch memory. */
  private CudaRows rows(long offset, DType type) {
    return new CudaRows(room.at(offset), type, x.count(), x.cols(), room.columns, false);
  }

  private CudaRows logits() {
    return new CudaRows(room.data, x.type(), x.count(), w.count(), room.stride, false);
  }

  private Launch product(String name, int boxes) {
    CudaKernel kernel = cuda.kernel("linear_cross_entropy_hopper_".concat(name), x.type());
    long tiles = (long) Math.ceilDiv(x.count(), MatmulHopperPlan.ROWS) * room.tiles;
    int ring = MatmulHopper.BLOCK_BYTES - boxes;
    int step = MatmulHopper.stepBytes(COLUMNS);
    CudaMatrix a = x.matrix(false);
    CudaMatrix b = w.matrix(true);
    return kernel
        .grid(Math.min(tiles, cuda.properties().multiprocessors()))
        .shared(ring / step * step + boxes)
        .map(
            MatmulHopper.operand(
                a, true, x.count(), x.cols(), MatmulHopperPlan.ROWS, MatmulHopperPlan.STEP))
        .map(MatmulHopper.operand(b, true, w.count(), x.cols(), COLUMNS, MatmulHopperPlan.STEP))
        .i32(x.count())
        .i32(w.count())
        .i32(x.cols());
  }

  private TensorMap results() {
    return MatmulHopper.results(room.data, x.type(), x.count(), w.count(), 1, room.stride);
  }

  private void statistics() {
    Addressable totals = form.labelSmoothing() > 0 ? room.at(room.totals) : null;
    Launch product =
        product("statistics", 0)
            .ptr(room.at(room.partial))
            .ptr(totals)
            .ptr(room.at(room.hits))
            .ptr(targets);
    CrossEntropyCuda.form(product, form).run();
    Launch fold =
        cuda.kernel("linear_cross_entropy_rows_fold")
            .grid(Math.ceilDiv(x.count(), FOLD_ROWS))
            .ptr(requireNonNull(losses))
            .ptr(stats)
            .ptr(room.at(room.partial))
            .ptr(totals)
            .ptr(room.at(room.hits))
            .ptr(targets)
            .i32(x.count())
            .i32(room.tiles)
            .i32(w.count());
    CrossEntropyCuda.form(fold, form).run();
  }

  private void gradient(Addressable dy) {
    Launch product =
        product("gradient", MatmulHopper.RESULT_BYTES)
            .map(results())
            .ptr(dy)
            .ptr(stats)
            .ptr(targets);
    CrossEntropyCuda.form(product, form).run();
  }

  private void weights(Addressable dy) {
    CudaKernel reference = cuda.kernel("linear_cross_entropy_rows_reference", x.type());
    Launch before =
        operands(reference.grid(RowGrid.blocks(reference, x.count())).ptr(room.at(room.references)))
            .ptr(targets)
            .i32(x.count())
            .i32(x.cols())
            .i32(w.count());
    CrossEntropyCuda.form(before, form).run();
    Launch product =
        product("weights", MatmulHopper.RESULT_BYTES)
            .map(results())
            .ptr(room.at(room.references))
            .ptr(room.at(room.partial))
            .ptr(room.at(room.hits))
            .ptr(targets);
    CrossEntropyCuda.form(product, form).run();
    Launch fold =
        ofRows("weights", Math.ceilDiv(x.count(), FOLD_ROWS), dy)
            .ptr(room.at(room.partial))
            .ptr(room.at(room.hits))
            .ptr(targets)
            .ptr(room.data)
            .i64(room.stride)
            .i32(x.count())
            .i32(room.tiles)
            .i32(w.count());
    CrossEntropyCuda.form(fold, form).run();
    Launch rescue =
        operands(ofRows("rescue", x.count(), dy))
            .ptr(targets)
            .ptr(room.data)
            .i64(room.stride)
            .i32(x.cols())
            .i32(w.count());
    CrossEntropyCuda.form(rescue, form).run();
  }

  private Launch ofRows(String name, int blocks, Addressable dy) {
    return cuda.kernel("linear_cross_entropy_rows_".concat(name), x.type())
        .grid(blocks)
        .ptr(requireNonNull(losses))
        .ptr(stats)
        .ptr(room.at(room.scales))
        .ptr(dy);
  }

  private Launch operands(Launch launch) {
    return launch.ptr(x).i64(x.stride()).ptr(w).i64(w.stride());
  }

  /** {@code y[row] (+)= scales[row] · x[row]}. */
  private void scale(CudaRows y, CudaRows x) {
    cuda.kernel("linear_cross_entropy_rows_scale", x.type(), y.type())
        .grid(y.count())
        .ptr(y)
        .i64(y.stride())
        .i32(CudaRows.adds(y))
        .ptr(x)
        .i64(x.stride())
        .ptr(room.at(room.scales))
        .i32(y.cols())
        .run();
  }
}
