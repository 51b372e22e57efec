package dev.javelin.device;

import jcuda.Pointer;
import jcuda.driver.CUdeviceptr;
import jcuda.driver.CUfunction;
import jcuda.driver.CUstream;

/** JCuda's handles, with the numbers inside them. */
final class Handles {
  private Handles() {}

  static final class Function extends CUfunction {
    long number() {
      return getNativePointer();
    }
  }

  static final class Stream extends CUstream {
    long number() {
      return getNativePointer();
    }
  }

  /** Device memory. */
  static final class Address extends CUdeviceptr {
    private static final CUdeviceptr ZERO = new CUdeviceptr();

    Address() {}

    /** JCuda takes numbers from the driver only; an offset from nothing is the way around. */
    Address(long number) {
      super(ZERO, number);
    }

    private Address(Address base, long offset) {
      super(base, offset);
    }

    Address plus(long bytes) {
      return bytes == 0 ? this : new Address(this, bytes);
    }

    long number() {
      return getNativePointer() + getByteOffset();
    }
  }

  /** Host memory. */
  static final class Host extends Pointer {
    Host() {}

    Host(long address) {
      super(address);
    }

    long number() {
      return getNativePointer() + getByteOffset();
    }
  }
}
