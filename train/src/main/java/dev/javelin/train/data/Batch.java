package dev.javelin.train.data;

import dev.javelin.device.Cpu;
import dev.javelin.device.Cuda;
import dev.javelin.device.CudaEvent;
import dev.javelin.device.DType;
import dev.javelin.device.Device;
import dev.javelin.device.HostMemory;
import dev.javelin.device.Memory;
import dev.javelin.tensor.Shape;
import dev.javelin.tensor.Tensor;
import java.util.ArrayList;
import java.util.List;

/**
 * Where a step finds its ids and next-token targets: two tensors that stay in place, I32 [B, T]
 * each. On the CPU they are filled where they lie.
 *
 * <p>On a GPU they are filled in one of two pinned blocks and copied from there in order with the
 * kernels, so the host prepares a batch while the GPU works on the one before. The copy stands in
 * the compute stream: ids are four bytes a token, too little to be worth a second stream.
 */
public final class Batch implements AutoCloseable {
  private static final int BLOCKS = 2;

  private final Device device;
  private final Memory memory;
  private final Tensor tokens;
  private final Tensor targets;
  private final List<Staging> staging = new ArrayList<>();
  private int turn;
  private Tensor hostTargets;

  /** Fills ids and targets on the host. */
  @FunctionalInterface
  public interface Filler {
    void fill(Tensor tokens, Tensor targets);
  }

  /** A pinned block and the event after the last copy from it. */
  private record Staging(HostMemory memory, Tensor tokens, Tensor targets, CudaEvent copied) {}

  private Batch(Device device, Shape shape) {
    this.device = device;
    long bytes = DType.I32.bytes(shape.elements());
    this.memory = device.allocate(2 * bytes);
    this.tokens = Tensor.of(memory, 0, DType.I32, shape);
    this.targets = Tensor.of(memory, bytes, DType.I32, shape);
    this.hostTargets = targets;
    if (device instanceof Cuda cuda) {
      for (int i = 0; i < BLOCKS; i++) {
        HostMemory pinned = cuda.pinned(2 * bytes);
        staging.add(
            new Staging(
                pinned,
                Tensor.of(pinned, 0, DType.I32, shape),
                Tensor.of(pinned, bytes, DType.I32, shape),
                cuda.event()));
      }
    }
  }

  /** Room for {@code rows} windows of {@code seqLen} tokens. */
  public static Batch on(Device device, int rows, int seqLen) {
    return new Batch(device, Shape.of(rows, seqLen));
  }

  /** On the device, always the same memory. */
  public Tensor tokens() {
    return tokens;
  }

  /** On the device, always the same memory. */
  public Tensor targets() {
    return targets;
  }

  /** The targets last loaded, as the host sees them; valid until the next but one is loaded. */
  public Tensor hostTargets() {
    return hostTargets;
  }

  /** Replaces ids and targets, behind the work already handed to the device. */
  public void load(Filler filler) {
    switch (device) {
      case Cpu _ -> filler.fill(tokens, targets);
      case Cuda cuda -> {
        Staging block = staging.get(turn);
        turn = (turn + 1) % BLOCKS;
        block.copied.synchronize(); // of the batch before last: done long ago
        filler.fill(block.tokens, block.targets);
        hostTargets = block.targets;
        long bytes = 2 * DType.I32.bytes(tokens.elements());
        cuda.compute().copy(memory, 0, block.memory, 0, bytes);
        cuda.compute().record(block.copied);
      }
    }
  }

  @Override
  public void close() {
    device.synchronize();
    memory.close();
    for (Staging s : staging) {
      s.copied.close();
      s.memory.close();
    }
  }
}
