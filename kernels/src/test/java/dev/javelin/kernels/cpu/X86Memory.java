package dev.javelin.kernels.cpu;

import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteOrder;
import java.util.ArrayList;
import java.util.List;

/** The memory a program may touch: whole segments at their real addresses, and nothing else. */
final class X86Memory {
  private static final ValueLayout.OfInt INT =
      ValueLayout.JAVA_INT_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);
  private static final ValueLayout.OfLong LONG =
      ValueLayout.JAVA_LONG_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);

  private final List<MemorySegment> segments = new ArrayList<>();

  /** A segment that is read-only may not be written. */
  void add(MemorySegment segment) {
    segments.add(segment);
  }

  private MemorySegment slice(long address, long bytes, boolean write) {
    for (int n = 0; n < segments.size(); n++) {
      MemorySegment s = segments.get(n);
      long at = address - s.address();
      if (at >= 0 && at <= s.byteSize() - bytes) {
        if (n > 1) {
          segments.add(0, segments.remove(n)); // loops come back to the same few
        }
        if (write && s.isReadOnly()) {
          throw new X86Fault("write of %d bytes to read-only 0x%x".formatted(bytes, address));
        }
        return s.asSlice(at, bytes);
      }
    }
    throw new X86Fault(
        "%s of %d bytes at 0x%x is outside the given memory: %s"
            .formatted(write ? "write" : "read", bytes, address, describe()));
  }

  private String describe() {
    StringBuilder text = new StringBuilder();
    for (MemorySegment s : segments) {
      text.append(text.isEmpty() ? "" : ", ")
          .append("0x%x + %d".formatted(s.address(), s.byteSize()));
    }
    return text.toString();
  }

  int getByte(long address) {
    return slice(address, 1, false).get(ValueLayout.JAVA_BYTE, 0) & 0xff;
  }

  int getShort(long address) {
    return slice(address, 2, false).get(ValueLayout.JAVA_SHORT_UNALIGNED, 0) & 0xffff;
  }

  int getInt(long address) {
    return slice(address, 4, false).get(INT, 0);
  }

  long getLong(long address) {
    return slice(address, 8, false).get(LONG, 0);
  }

  void setShort(long address, int value) {
    slice(address, 2, true).set(ValueLayout.JAVA_SHORT_UNALIGNED, 0, (short) value);
  }

  void setInt(long address, int value) {
    slice(address, 4, true).set(INT, 0, value);
  }

  void setLong(long address, long value) {
    slice(address, 8, true).set(LONG, 0, value);
  }

  /** Dwords from memory, all of them or none. */
  void read(long address, int[] to, int count) {
    MemorySegment from = slice(address, 4L * count, false);
    for (int i = 0; i < count; i++) {
      to[i] = from.get(INT, 4L * i);
    }
  }

  void write(long address, int[] from, int count) {
    MemorySegment to = slice(address, 4L * count, true);
    for (int i = 0; i < count; i++) {
      to.set(INT, 4L * i, from[i]);
    }
  }
}
