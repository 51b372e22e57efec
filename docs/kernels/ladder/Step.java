import dev.javelin.device.Cuda;
import dev.javelin.device.DeviceMemory;
import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.nio.file.Files;
import java.nio.file.Path;

/**
 * Launches a rung once, on the emulated device, for a debugger to stop in: c = a · b of 64x64 and
 * 64x64, where a[row, l] = row and b[l, col] = 1, so that c[row, col] = 64 · row.
 *
 * <pre>
 * java … Step.java IMAGE.emu.so
 * </pre>
 */
public class Step {
  private static final int N = 64;

  public static void main(String[] args) throws IOException {
    byte[] image = Files.readAllBytes(Path.of(args[0]));
    try (Cuda cuda = Cuda.emulated((family, _, _) -> family.equals("matmul_3") ? image : null);
        DeviceMemory c = cuda.allocate(4L * N * N);
        DeviceMemory a = cuda.allocate(2L * N * N);
        DeviceMemory b = cuda.allocate(2L * N * N)) {
      short[] rows = new short[N * N];
      short[] ones = new short[N * N];
      for (int i = 0; i < N * N; i++) {
        rows[i] = bf16(i / N);
        ones[i] = bf16(1);
      }
      cuda.write(a, 0, MemorySegment.ofArray(rows));
      cuda.write(b, 0, MemorySegment.ofArray(ones));
      cuda.kernel("matmul_3").grid(2, 2).ptr(c).ptr(a).ptr(b).i32(N).i32(N).i32(N).run();
      float[] result = new float[N * N];
      cuda.read(MemorySegment.ofArray(result), c, 0);
      System.out.println("c[3, 0] = " + result[3 * N]);
    }
  }

  private static short bf16(float x) {
    return (short) (Float.floatToRawIntBits(x) >>> 16);
  }
}
