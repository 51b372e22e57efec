package dev.javelin.nn;

import dev.javelin.autograd.Heads;
import dev.javelin.autograd.Tape;
import dev.javelin.device.DType;
import dev.javelin.device.Device;
import dev.javelin.device.Memory;
import dev.javelin.tensor.Shape;
import dev.javelin.tensor.Tensor;
import dev.javelin.tensor.op.Elementwise;

/**
 * Keys and values of the tokens a model has read, so that the next ones need not read them again.
 * All sequences of a batch have the same length. A cache serves one thread at a time.
 *
 * <pre>
 * per layer: keys [B, capacity, Hkv, D], turned by their positions; values alike
 * </pre>
 */
public final class KvCache implements AutoCloseable {
  private final Memory memory;
  private final DType type;
  private final Shape shape;
  private final int capacity;
  private int length;

  /**
   * @param type the model's element type
   * @param capacity the longest sequence, at most the model's positions
   */
  public static KvCache allocate(
      Device device, TransformerConfig config, DType type, int batch, int capacity) {
    if (batch < 1 || capacity < 1 || capacity > config.positions()) {
      throw new IllegalArgumentException(
          "kv cache: %d sequences of at most %d tokens, the model has %d positions"
              .formatted(batch, capacity, config.positions()));
    }
    Shape shape = Shape.of(batch, capacity, config.kvHeads(), config.headDim());
    return new KvCache(
        device.allocate(2L * config.layers() * type.bytes(shape.elements())),
        type,
        shape,
        capacity);
  }

  private KvCache(Memory memory, DType type, Shape shape, int capacity) {
    this.memory = memory;
    this.type = type;
    this.shape = shape;
    this.capacity = capacity;
  }

  /** Tokens read so far. */
  public int length() {
    return length;
  }

  public int capacity() {
    return capacity;
  }

  /** Forgets the tokens from {@code length} on; 0 for all. */
  public void truncate(int length) {
    if (length < 0 || length > this.length) {
      throw new IllegalArgumentException(
          "kv cache: cannot cut %d tokens back to %d".formatted(this.length, length));
    }
    this.length = length;
  }

  /** Counts tokens whose keys and values all layers have appended. */
  public void advance(int tokens) {
    length += tokens;
  }

  /**
   * Takes up the keys and values of the tokens that follow, and gives those of all tokens so far.
   *
   * @param next q [B, T, H, D], k and v [B, T, Hkv, D]
   * @return the same q, with k and v [B, length + T, Hkv, D], views of the cache
   */
  Heads append(int layer, Heads next) {
    Tape tape = next.q().tape();
    return new Heads(
        next.q(),
        tape.constant(append(part(2 * layer), next.k().value())),
        tape.constant(append(part(2 * layer + 1), next.v().value())));
  }

  private Tensor append(Tensor all, Tensor x) {
    int end = length + x.dim(1);
    if (x.dim(0) != shape.dim(0) || end > capacity) {
      throw new IllegalArgumentException(
          "kv cache: %d sequences of %d tokens do not fit its %d of %d"
              .formatted(x.dim(0), end, shape.dim(0), capacity));
    }
    Elementwise.copy(all.slice(1, length, end), x);
    return all.slice(1, 0, end);
  }

  private Tensor part(int index) {
    return Tensor.of(memory, index * type.bytes(shape.elements()), type, shape);
  }

  @Override
  public void close() {
    memory.close();
  }
}
