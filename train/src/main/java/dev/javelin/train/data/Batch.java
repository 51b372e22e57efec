package dev.javelin.train.data;

import dev.javelin.device.Cpu;
import dev.javelin.device.Cuda;
import dev.javelin.device.CudaEvent;
import dev.javelin.device.DType;
import dev.javelin.device.Device;
import dev.javelin.device.DeviceMemory;
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
 * <p>On a GPU a batch travels in two hops, so that it is there before the step that wants it:
 *
 * <pre>
 * host      fill pinned block 1 │ fill 0            │ fill 1 …
 * transfer        → staging 1   │      → staging 0  │            beside the kernels
 * compute   step n              │ copy, step n+1    │ copy, step n+2
 * </pre>
 *
 * <p>The copy from staging to the tensors of the step is the device's own and takes its place in
 * the order of the kernels. The host waits for nothing but a pinned block to be free: it may be two
 * batches ahead.
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

  /**
   * A pinned block and its counterpart on the device.
   *
   * @param arrived after the last copy from the one to the other
   * @param taken after the last copy from there to where the step reads
   */
  private record Staging(
      HostMemory pinned,
      Tensor tokens,
      Tensor targets,
      DeviceMemory memory,
      CudaEvent arrived,
      CudaEvent taken) {}

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
                cuda.allocate(2 * bytes),
                cuda.event(),
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
        block.arrived.synchronize(); // the batch before last
        filler.fill(block.tokens, block.targets);
        hostTargets = block.targets;
        long bytes = 2 * DType.I32.bytes(tokens.elements());
        cuda.transfer().await(block.taken);
        cuda.transfer().copy(block.memory, 0, block.pinned, 0, bytes);
        cuda.transfer().record(block.arrived);
        cuda.compute().await(block.arrived);
        cuda.compute().copy(memory, 0, block.memory, 0, bytes);
        cuda.compute().record(block.taken);
      }
    }
  }

  @Override
  public void close() {
    device.synchronize();
    memory.close();
    for (Staging s : staging) {
      s.arrived.close();
      s.taken.close();
      s.memory.close();
      s.pinned.close();
    }
  }
}
