package dev.javelin.train.data;

import dev.javelin.device.Device;
import java.util.ArrayList;
import java.util.List;

/**
 * Room for the rows of a source: a {@link Batch} for each of its layouts, of which every stretch of
 * rows takes the narrowest that it fits into. Not for several threads at once.
 */
public final class Batches implements AutoCloseable {
  private final BatchSource source;
  private final int rows;
  private final List<Batch> all;

  private Batches(BatchSource source, int rows, List<Batch> all) {
    this.source = source;
    this.rows = rows;
    this.all = List.copyOf(all);
  }

  /**
   * @param rows B
   * @throws IllegalArgumentException where {@code rows} is less than 1
   */
  public static Batches on(Device device, BatchSource source, int rows) {
    List<Batch> all = new ArrayList<>();
    try {
      source.layouts().forEach(layout -> all.add(Batch.on(device, layout, rows)));
      return new Batches(source, rows, all);
    } catch (RuntimeException | Error e) {
      all.forEach(Batch::close);
      throw e;
    }
  }

  /** B. */
  public int rows() {
    return rows;
  }

  /** One for each layout, in their order. */
  public List<Batch> all() {
    return all;
  }

  /**
   * Loads the B rows from {@code place} on.
   *
   * @return the number of the batch that holds them
   */
  public int load(long place) {
    int fitting = source.fits(place, rows);
    all.get(fitting).load(fields -> source.fill(place, rows, fields));
    return fitting;
  }

  @Override
  public void close() {
    all.forEach(Batch::close);
  }
}
