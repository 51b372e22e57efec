package dev.javelin.device;

import static java.lang.foreign.ValueLayout.ADDRESS;
import static java.lang.foreign.ValueLayout.JAVA_INT;
import static java.lang.foreign.ValueLayout.JAVA_LONG;

import java.lang.foreign.Arena;
import java.lang.foreign.FunctionDescriptor;
import java.lang.foreign.Linker;
import java.lang.foreign.MemoryLayout;
import java.lang.foreign.MemorySegment;
import java.lang.invoke.MethodHandle;

/**
 * The switches of the emulated device, and what it counts. Each switch can also be given as an
 * environment variable: {@code JAVELIN_EMULATOR_ORDER=reverse}. They are the process's; any thread
 * may set them.
 *
 * <table>
 *   <caption>Switches</caption>
 *   <tr><td>order</td><td>{@code forward}, {@code reverse}, or a seed: how threads, warps and blocks follow</td></tr>
 *   <tr><td>capability</td><td>{@code 8.0}, {@code 8.6}, {@code 8.9}, {@code 9.0}</td></tr>
 *   <tr><td>guard</td><td>{@code 1}: an allocation ends within 16 bytes of forbidden memory</td></tr>
 *   <tr><td>lazy</td><td>{@code 1}: queued work is done when somebody waits for it, not before</td></tr>
 *   <tr><td>overlap</td><td>{@code ahead}, {@code behind}: streams beside the first run so, as far as events allow</td></tr>
 *   <tr><td>tensor</td><td>{@code truncated}: tensor cores add as the hardware's do; {@code rounded} otherwise</td></tr>
 *   <tr><td>fast</td><td>{@code low}, {@code high}, or a seed: approximate functions are two units in the last place off; {@code exact}</td></tr>
 *   <tr><td>banks</td><td>{@code 1}: checked kernels have the turns at shared memory's banks counted ({@link BankTurns})</td></tr>
 *   <tr><td>threads</td><td>how many threads of the operating system run blocks</td></tr>
 *   <tr><td>memory</td><td>bytes of device memory</td></tr>
 *   <tr><td>trace</td><td>{@code BLOCK:THREAD:FILE}: what the warp of this thread does in checked kernels goes to the file; {@code 0} ends it</td></tr>
 * </table>
 */
public final class Emulator {
  private Emulator() {}

  /**
   * Sets a switch, for everything that begins after it; the capability, for devices opened after
   * it.
   *
   * @throws IllegalArgumentException where there is no such switch, or it has no such value
   * @throws CudaException where this build has no emulated device
   * @throws IllegalStateException where this process uses the driver of the machine
   */
  public static void set(String key, String value) {
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment k = arena.allocateFrom(key);
      MemorySegment v = arena.allocateFrom(value);
      if ((int) call("javelin_emulator_set", JAVA_INT, ADDRESS, ADDRESS).invokeExact(k, v) != 0) {
        throw new IllegalArgumentException(
            "the emulated device has no switch " + key + " = " + value);
      }
    } catch (RuntimeException e) {
      throw e;
    } catch (Throwable e) {
      throw new IllegalStateException("javelin_emulator_set", e);
    }
  }

  /**
   * How often driver functions whose names begin so were called since the process started: {@code
   * "cuLaunch"}, {@code "cuStreamSynchronize"}, {@code ""} for all.
   */
  public static long calls(String prefix) {
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment p = arena.allocateFrom(prefix);
      return (long) call("javelin_emulator_calls", JAVA_LONG, ADDRESS).invokeExact(p);
    } catch (RuntimeException e) {
      throw e;
    } catch (Throwable e) {
      throw new IllegalStateException("javelin_emulator_calls", e);
    }
  }

  /** {@code char* f()}: see {@link BankTurns}. */
  static MethodHandle banks() {
    return call("javelin_emulator_banks", ADDRESS);
  }

  private static MethodHandle call(String name, MemoryLayout result, MemoryLayout... arguments) {
    return Linker.nativeLinker()
        .downcallHandle(
            CudaDriver.emulated().symbol(name).orElseThrow(),
            FunctionDescriptor.of(result, arguments));
  }
}
