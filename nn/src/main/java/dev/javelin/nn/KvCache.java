package dev.javelin.nn;

import dev.javelin.device.DType;
import dev.javelin.device.Device;
import dev.javelin.device.Memory;
import dev.javelin.tensor.Shape;
import dev.javelin.tensor.Tensor;
import dev.javelin.tensor.op.Elementwise;
import dev.javelin.tensor.op.PagedAttention;
import java.util.ArrayList;
import java.util.List;

/**
 * Keys and values of the tokens of one sequence that a model has read, so that the next ones need
 * not read them again. It grows by pages of {@value #PAGE} tokens, and nothing in it ever moves. A
 * cache serves one thread at a time.
 *
 * <pre>
 * page: [layers, 2, PAGE, Hkv, D], keys, turned by their positions, and values
 * </pre>
 *
 * @see <a href="https://arxiv.org/abs/2309.06180">Kwon et al. 2023, PagedAttention</a>
 */
public final class KvCache implements AutoCloseable {
  /** Tokens of a page. */
  public static final int PAGE = PagedAttention.PAGE;

  private final Device device;
  private final DType type;
  private final Shape part; // keys or values of a layer in a page
  private final int layers;
  private final int positions;
  private final List<Memory> pages = new ArrayList<>();
  private int length;
  private boolean closed;

  /**
   * An empty cache, which takes no memory yet.
   *
   * @param type the model's element type
   */
  public static KvCache open(Device device, TransformerConfig config, DType type) {
    return new KvCache(device, config, type);
  }

  private KvCache(Device device, TransformerConfig config, DType type) {
    this.device = device;
    this.type = type;
    this.part = Shape.of(1, PAGE, config.kvHeads(), config.headDim());
    this.layers = config.layers();
    this.positions = config.positions();
  }

  /** Tokens read so far. */
  public int length() {
    return length;
  }

  /** Forgets the tokens from {@code length} on, 0 for all, and gives back the pages they fill. */
  public void truncate(int length) {
    if (length < 0 || length > this.length) {
      throw new IllegalArgumentException(
          "kv cache: cannot cut %d tokens back to %d".formatted(this.length, length));
    }
    this.length = length;
    releaseFrom(Math.ceilDiv(length, PAGE));
  }

  /**
   * Takes the memory that {@code tokens} more need.
   *
   * @throws IllegalArgumentException where the model has no positions for them
   */
  public void reserve(int tokens) {
    if (closed) {
      throw new IllegalStateException("kv cache: it is closed");
    }
    if (length + (long) tokens > positions) {
      throw new IllegalArgumentException(
          "kv cache: a sequence of %d tokens is longer than the model's %d positions"
              .formatted(length + (long) tokens, positions));
    }
    while (pages.size() * (long) PAGE < length + tokens) {
      pages.add(device.allocate(2L * layers * type.bytes(part.elements())));
    }
  }

  /** Counts tokens whose keys and values all layers have stored. */
  void advance(int tokens) {
    length += tokens;
  }

  DType type() {
    return type;
  }

  /** Pages that hold tokens, or are reserved for them. */
  List<Memory> pages() {
    return pages;
  }

  /** Elements from the beginning of a page to the keys of a layer. */
  long keysOffset(int layer) {
    return 2L * layer * part.elements();
  }

  /** Elements from the beginning of a page to the values of a layer. */
  long valuesOffset(int layer) {
    return keysOffset(layer) + part.elements();
  }

  /** Copies {@code x} [1, T, Hkv, D] behind the tokens that are counted. */
  void store(long offset, Tensor x) {
    for (int at = 0, count; at < x.dim(1); at += count) {
      int place = (length + at) % PAGE;
      count = Math.min(PAGE - place, x.dim(1) - at);
      Tensor page = page((length + at) / PAGE, offset);
      Elementwise.copy(page.slice(1, place, place + count), x.slice(1, at, at + count));
    }
  }

  /** Copies what the first {@code y.dim(1)} tokens stored to {@code y} [1, T, Hkv, D]. */
  void gather(long offset, Tensor y) {
    for (int at = 0, count; at < y.dim(1); at += count) {
      count = Math.min(PAGE, y.dim(1) - at);
      Elementwise.copy(y.slice(1, at, at + count), page(at / PAGE, offset).slice(1, 0, count));
    }
  }

  private Tensor page(int index, long offset) {
    return Tensor.of(pages.get(index), type.bytes(offset), type, part);
  }

  private void releaseFrom(int page) {
    List<Memory> behind = pages.subList(page, pages.size());
    behind.forEach(Memory::close);
    behind.clear();
  }

  @Override
  public void close() {
    closed = true;
    length = 0;
    releaseFrom(0);
  }
}
