package dev.javelin.kernels.cpu;

/**
 * One loop over the row that {@code R} describes.
 *
 * <p>The compiler inlines loops into their caller until it has grown to a size where it stops, in
 * the middle of a loop if need be; vectors are then boxed there, which is a hundred times slower.
 * Called through {@link #run}, whose one call site sees the loops of all kernels, a loop becomes a
 * compiled method of its own. This needs passes that are no compile-time constants at the call:
 * method references held in local variables that the parallel loop's body captures.
 */
@FunctionalInterface
interface RowPass<R> {
  void over(R row);

  static <R> void run(RowPass<R> pass, R row) {
    pass.over(row);
  }

  /** This pass and the next, each on its own. */
  default RowPass<R> then(RowPass<R> next) {
    return row -> {
      run(this, row);
      run(next, row);
    };
  }
}
