package dev.javelin.device;

/**
 * Element type of a tensor in memory, little-endian. Arithmetic on every float type is done in
 * fp32.
 */
public enum DType {
  /** IEEE 754 binary32. */
  F32("f32", 4),
  /** bfloat16: the upper 16 bits of a binary32. */
  BF16("bf16", 2),
  /** IEEE 754 binary16. */
  F16("f16", 2),
  I32("i32", 4),
  I64("i64", 8),
  U8("u8", 1);

  private final String suffix;
  private final int byteSize;

  DType(String suffix, int byteSize) {
    this.suffix = suffix;
    this.byteSize = byteSize;
  }

  /** Bytes of one element. */
  public int byteSize() {
    return byteSize;
  }

  /** Bytes of {@code elements} elements. */
  public long bytes(long elements) {
    return elements * byteSize;
  }

  /** The lower-case name, which also picks a kernel's instance: {@code rms_norm_forward_bf16}. */
  public String suffix() {
    return suffix;
  }

  public boolean isFloat() {
    return this == F32 || this == BF16 || this == F16;
  }
}
