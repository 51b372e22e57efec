package dev.javelin.train.trace;

/** A line that the emulated device wrote of one thread: {@code trace.h} has the format. */
sealed interface Event {
  /** Its number in the block. */
  int thread();

  /** The address of the instruction within the kernel's image. */
  long site();

  /** Kinds of memory. */
  enum Space {
    /** Memory of the device; the address is a pointer. */
    GLOBAL,
    /** The block's dynamic shared memory; the address is an offset. */
    SHARED,
    /** {@code __shared__} variables of the module; the address is an offset. */
    VARIABLE
  }

  /** A load or a store, and what is in memory afterwards. */
  record Access(int thread, long site, boolean write, Space space, long address, Bytes bytes)
      implements Event {
    /** Both as one, where the other begins behind this. */
    Access with(Access rest) {
      Bytes both = new Bytes(bytes.digits() + rest.bytes.digits());
      return new Access(thread, site, write, space, address, both);
    }
  }

  /** A {@code cp.async} from global to shared memory. */
  record Copy(int thread, long site, Space space, long address, long from, Bytes bytes)
      implements Event {}

  /** A barrier of the block. */
  record Barrier(int thread, long site, String name) implements Event {}

  /** An operation of the warp: what this lane gives, and what it gets. */
  record WarpOperation(int thread, long site, Bytes given, Bytes got, String name)
      implements Event {}
}
