package dev.javelin.nn;

import static dev.javelin.nn.ModelCase.assertClose;
import static dev.javelin.nn.ModelCase.floats;
import static dev.javelin.nn.ModelCase.integers;
import static org.assertj.core.api.Assertions.assertThat;

import dev.javelin.autograd.Tape;
import dev.javelin.device.Cpu;
import dev.javelin.device.DType;
import dev.javelin.device.Device;
import dev.javelin.device.Memory;
import dev.javelin.device.RequiresCuda;
import dev.javelin.device.TestCuda;
import dev.javelin.kernels.BundledKernels;
import dev.javelin.tensor.Shape;
import dev.javelin.tensor.Tensor;
import dev.javelin.tensor.io.Json;
import dev.javelin.tensor.io.JsonObject;
import dev.javelin.tensor.io.Safetensors;
import dev.javelin.tensor.step.Workspace;
import java.lang.foreign.MemorySegment;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/** Rotary positions within the original positions and far beyond, as transformers turns them. */
class LongContextTest {
  private static final Path GOLDEN = Path.of("src/test/resources/golden/rope");
  private static final double LOGITS = 1e-4;

  static List<JsonObject> models() {
    return RopeConfigTest.objects(Json.read(GOLDEN.resolve("cases.json")), "models");
  }

  @ParameterizedTest
  @MethodSource("models")
  void logitsAndGreedyTokensAreThoseOfTransformersAtAnyLength(JsonObject c) {
    check(Cpu.open(2), c);
  }

  @ParameterizedTest
  @MethodSource("models")
  @RequiresCuda
  void andOnAGpu(JsonObject c) {
    check(TestCuda.open(new BundledKernels()), c);
  }

  private static void check(Device device, JsonObject c) {
    String name = c.text("name");
    TransformerConfig config = ConfigJson.read(c.object("config"));
    try (device;
        Workspace ws = Workspace.poisoned(device, 16 << 20);
        Memory batch = device.allocate(4096);
        ParameterBuffer<Transformer> buffer =
            Transformer.allocate(device, config, Precision.FP32, Grouping.frozen());
        Safetensors expected = Safetensors.open(GOLDEN.resolve("expected.safetensors"))) {
      HuggingFace.load(buffer, GOLDEN);
      Transformer model = buffer.model();
      int vocab = config.vocab();
      int[] ids = integers(expected.get("ids"));
      int[] rows = integers(expected.get("rows"));
      int brief = expected.get(name + ".short").shape().dim(0);
      // In turns: what one length needs must not stay for the other.
      for (int turn = 0; turn < 2; turn++) {
        ws.reset();
        Tensor tokens = tokens(batch, ids, 0, ids.length);
        double[] all = floats(model.forward(Tape.inference(ws), tokens).value());
        double[] chosen = new double[rows.length * vocab];
        for (int i = 0; i < rows.length; i++) {
          System.arraycopy(all, rows[i] * vocab, chosen, i * vocab, vocab);
        }
        assertClose(name + " long", chosen, floats(expected.get(name + ".long")), LOGITS);
        ws.reset();
        double[] few =
            floats(model.forward(Tape.inference(ws), tokens(batch, ids, 0, brief)).value());
        assertClose(name + " short", few, floats(expected.get(name + ".short")), LOGITS);
      }
      int[] greedy = integers(expected.get(name + ".greedy"));
      int prompt = Json.read(GOLDEN.resolve("cases.json")).integer("prompt", 1, greedy.length);
      assertThat(continued(model, device, ws, batch, greedy, prompt)).isEqualTo(greedy);
    }
  }

  private static int[] continued(
      Transformer model, Device device, Workspace ws, Memory batch, int[] expected, int prompt) {
    int[] ids = Arrays.copyOf(Arrays.copyOf(expected, prompt), expected.length);
    try (KvCache cache = KvCache.open(device, model.config(), DType.F32)) {
      for (int n = prompt; n < ids.length; n++) {
        ws.reset();
        Tensor next = tokens(batch, ids, cache.length(), n);
        double[] logits = floats(model.next(Tape.inference(ws), next, cache));
        for (int i = 1; i < logits.length; i++) {
          ids[n] = logits[i] > logits[ids[n]] ? i : ids[n];
        }
      }
    }
    return ids;
  }

  private static Tensor tokens(Memory batch, int[] ids, int from, int to) {
    Tensor t = Tensor.of(batch, 0, DType.I32, Shape.of(1, to - from));
    t.fromHost(MemorySegment.ofArray(Arrays.copyOfRange(ids, from, to)));
    return t;
  }
}
