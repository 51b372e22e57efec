package dev.javelin.device;

/**
 * Something in device memory that a kernel takes as a pointer; see {@link Launch#ptr}. Any thread
 * may ask for the address, which holds until the memory is closed.
 */
public interface Addressable {

  /**
   * Address of the first byte on the device.
   *
   * @throws IllegalStateException where the memory has been released or does not lie on a device
   */
  long address();

  /** What stands {@code bytes} bytes behind this. */
  default Addressable plus(long bytes) {
    return bytes == 0 ? this : () -> address() + bytes;
  }
}
