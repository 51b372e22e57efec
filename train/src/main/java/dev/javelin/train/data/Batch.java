package dev.javelin.train.data;

import dev.javelin.device.Cpu;
import dev.javelin.device.Cuda;
import dev.javelin.device.CudaEvent;
import dev.javelin.device.Device;
import dev.javelin.device.DeviceMemory;
import dev.javelin.device.HostMemory;
import dev.javelin.device.Memory;
import dev.javelin.tensor.Tensor;
import java.util.ArrayList;
import java.util.List;
import java.util.function.Consumer;

/**
 * Where a step finds its fields: tensors that stay in place, whatever {@link BatchLayout} says. On
 * the CPU they are filled where they lie.
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
 *
 * <p>Not for several threads at once.
 */
public final class Batch implements AutoCloseable {
  private static final int BLOCKS = 2;

  private final Device device;
  private final long bytes;
  private final Memory memory;
  private final Fields fields;
  private final List<Staging> staging = new ArrayList<>();
  private int turn;
  private Fields host;

  /**
   * A pinned block and its counterpart on the device.
   *
   * @param arrived after the last copy from the one to the other
   * @param taken after the last copy from there to where the step reads
   */
  private record Staging(
      HostMemory pinned, Fields fields, DeviceMemory memory, CudaEvent arrived, CudaEvent taken) {}

  private Batch(Device device, BatchLayout layout, int rows) {
    this.device = device;
    this.bytes = layout.bytes(rows);
    this.memory = device.allocate(bytes);
    this.fields = new Fields(layout, rows, memory);
    this.host = fields;
    if (device instanceof Cuda cuda) {
      for (int i = 0; i < BLOCKS; i++) {
        HostMemory pinned = cuda.pinned(bytes);
        staging.add(
            new Staging(
                pinned,
                new Fields(layout, rows, pinned),
                cuda.allocate(bytes),
                cuda.event(),
                cuda.event()));
      }
    }
  }

  /**
   * Room for {@code rows} rows.
   *
   * @throws IllegalArgumentException where {@code rows} is less than 1
   */
  public static Batch on(Device device, BatchLayout layout, int rows) {
    if (rows < 1) {
      throw new IllegalArgumentException("a batch must have at least 1 row, got " + rows);
    }
    return new Batch(device, layout, rows);
  }

  /** B. */
  public int rows() {
    return fields.rows();
  }

  /** Whether the layout has a field of that name. */
  public boolean has(String field) {
    return fields.layout().has(field);
  }

  /** A field on the device, [B, …]; always the same memory. */
  public Tensor get(String field) {
    return fields.get(field);
  }

  /** The fields last loaded, as the host sees them; valid until the next but one is loaded. */
  public Fields host() {
    return host;
  }

  /** Replaces all fields, behind the work already handed to the device. */
  public void load(Consumer<Fields> filler) {
    switch (device) {
      case Cpu _ -> filler.accept(fields);
      case Cuda cuda -> {
        Staging block = staging.get(turn);
        block.arrived.synchronize(); // the batch before last
        filler.accept(block.fields);
        turn = (turn + 1) % BLOCKS;
        host = block.fields;
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
