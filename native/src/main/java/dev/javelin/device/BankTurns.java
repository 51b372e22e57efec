package dev.javelin.device;

import java.lang.foreign.MemorySegment;
import java.util.List;

/**
 * The turns that a place in a kernel's source took at the banks of shared memory, as the emulated
 * device counts them with {@code banks=1} in checked images. There are 32 banks of 4-byte words; in
 * a turn each serves one word. An access of a warp takes a turn at least for each 128 bytes that
 * its lanes ask for; lanes that want different words of one bank take turns.
 *
 * @param place file and line: {@code matmul.cuh:120}
 * @param write a store, not a load
 * @param bytes by each lane
 * @param accesses by a warp
 * @param turns that they took
 * @param least that as many accesses of other addresses could have taken
 */
public record BankTurns(
    String place, boolean write, int bytes, long accesses, long turns, long least) {
  /** One for each place whose accesses were counted since the last call. */
  public static List<BankTurns> take() {
    return text().lines().map(BankTurns::parse).toList();
  }

  private static String text() {
    try {
      MemorySegment text = (MemorySegment) Emulator.banks().invokeExact();
      return text.reinterpret(Long.MAX_VALUE).getString(0);
    } catch (RuntimeException e) {
      throw e;
    } catch (Throwable e) {
      throw new IllegalStateException("javelin_emulator_banks", e);
    }
  }

  private static BankTurns parse(String line) {
    String[] words = line.split(" ");
    return new BankTurns(
        words[0],
        words[1].equals("write"),
        Integer.parseInt(words[2]),
        Long.parseLong(words[3]),
        Long.parseLong(words[4]),
        Long.parseLong(words[5]));
  }
}
