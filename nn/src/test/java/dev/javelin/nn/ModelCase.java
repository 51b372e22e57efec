package dev.javelin.nn;

import static org.assertj.core.api.Assertions.assertThat;

import dev.javelin.autograd.Tape;
import dev.javelin.autograd.Var;
import dev.javelin.device.Cpu;
import dev.javelin.device.DType;
import dev.javelin.device.Device;
import dev.javelin.device.Memory;
import dev.javelin.device.TestCuda;
import dev.javelin.kernels.BundledKernels;
import dev.javelin.nn.Norm.Stream;
import dev.javelin.tensor.Parameter;
import dev.javelin.tensor.Shape;
import dev.javelin.tensor.Tensor;
import dev.javelin.tensor.io.Json;
import dev.javelin.tensor.io.JsonObject;
import dev.javelin.tensor.io.Safetensors;
import dev.javelin.tensor.op.LossOptions;
import dev.javelin.tensor.step.StepState;
import dev.javelin.tensor.step.Workspace;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;

/**
 * A reference model loaded for a test, with its files and the memory for a batch. References were
 * computed by PyTorch in float64 from the same weights.
 */
final class ModelCase implements AutoCloseable {
  static final List<String> NAMES =
      List.of(
          "llama-tiny",
          "gpt2-tiny",
          "gpt2-hubnames-tiny",
          "qwen2-tiny",
          "qwen3-tiny",
          "mistral-window-tiny",
          "llama-sharded-bf16-tiny");

  /** Families other than those of {@link #NAMES}; references by transformers. */
  static final List<String> FAMILIES =
      List.of(
          "bloom-tiny",
          "falcon-multiquery-tiny",
          "falcon-new-decoder-tiny",
          "gemma2-tiny",
          "gemma3-tiny",
          "glm-tiny",
          "glm4-tiny",
          "gptneox-tiny",
          "olmo2-tiny",
          "phi3-tiny",
          "qwen3-layer-windows-tiny",
          "smollm3-tiny");

  final Path directory;
  final Device device;
  final Workspace workspace;
  final ParameterBuffer<Transformer> buffer;
  final StepState state;
  private final List<Memory> batches = new ArrayList<>();

  static ModelCase open(String name, Precision precision) {
    return open(name, precision, 2);
  }

  static ModelCase open(String name, Precision precision, int threads) {
    return new ModelCase(directory(name), precision, Cpu.open(threads));
  }

  /** The same on the device that tests of CUDA run on. */
  static ModelCase onCuda(String name, Precision precision) {
    return new ModelCase(directory(name), precision, TestCuda.open(new BundledKernels()));
  }

  static Path directory(String name) {
    String folder = FAMILIES.contains(name) ? "families" : "models";
    return Path.of("src/test/resources/golden", folder, name);
  }

  private ModelCase(Path directory, Precision precision, Device device) {
    this.directory = directory;
    this.device = device;
    this.workspace = Workspace.poisoned(device, 16 << 20);
    this.buffer =
        Transformer.allocate(
            device, TransformerConfig.read(directory), precision, Grouping.decayMatrices(0.1f));
    this.state = StepState.on(device);
    HuggingFace.load(buffer, directory);
  }

  Transformer model() {
    return buffer.model();
  }

  JsonObject json(String file) {
    return Json.read(directory.resolve(file));
  }

  Safetensors file(String name) {
    return Safetensors.open(directory.resolve(name));
  }

  /** Integers of a file as an I32 tensor. */
  Tensor ids(Safetensors.Entry entry) {
    return ids(integers(entry), entry.shape());
  }

  Tensor ids(int[] values, Shape shape) {
    Memory memory = device.allocate(4L * values.length);
    batches.add(memory);
    Tensor t = Tensor.of(memory, 0, DType.I32, shape);
    t.fromHost(MemorySegment.ofArray(values));
    return t;
  }

  static int[] integers(Safetensors.Entry entry) {
    int[] out = new int[(int) entry.shape().elements()];
    for (int i = 0; i < out.length; i++) {
      out[i] =
          entry.dtype() == DType.I64
              ? (int) entry.data().getAtIndex(ValueLayout.JAVA_LONG_UNALIGNED, i)
              : entry.data().getAtIndex(ValueLayout.JAVA_INT_UNALIGNED, i);
    }
    return out;
  }

  /** Targets as the loss wants them: labels moved by one, the last of each row without target. */
  Tensor targets(Safetensors.Entry labels) {
    int[] values = integers(labels);
    int seqLen = labels.shape().last();
    int[] shifted = new int[values.length];
    for (int i = 0; i < values.length; i++) {
      shifted[i] = i % seqLen == seqLen - 1 ? LossOptions.IGNORED : values[i + 1];
    }
    return ids(shifted, labels.shape());
  }

  /** Prepares the step's state for a batch that is a whole step. */
  void beginStep(Tensor targets) {
    int valid = 0;
    for (int target : targets.toHost().toArray(ValueLayout.JAVA_INT)) {
      valid += target >= 0 ? 1 : 0;
    }
    state.begin(0, 0, 0, 1f / valid);
  }

  /** The stream before each block, settled, and what the last norm makes of it. */
  void assertHiddenStates(Tensor ids, Safetensors expected, double tolerance) {
    Transformer model = model();
    Stream stream = model.embed(Tape.inference(workspace), ids, Pass.PLAIN);
    int layers = model.blocks().size();
    for (int i = 0; i <= layers; i++) {
      Var hidden = i < layers ? stream.settled() : model.norm().forward(stream).norm();
      assertClose(
          "hidden state " + i,
          floats(hidden.value()),
          floats(expected.get("hidden_states." + i)),
          tolerance);
      if (i < layers) {
        stream = model.blocks().get(i).forward(stream, Pass.PLAIN);
      }
    }
  }

  /** Gradients under Hugging Face's names, compared with those of a file. */
  void assertGradients(Safetensors expected, double tolerance) {
    List<Safetensors.Item> items =
        HuggingFace.items(buffer, "", p -> buffer.part(buffer.gradients(), p));
    assertThat(items).hasSameSizeAs(expected.entries().entrySet());
    for (Safetensors.Item item : items) {
      String name = item.name(); // gradients of GPT-NeoX are under transformers' own name
      boolean own = !expected.entries().containsKey(name) && name.equals("embed_out.weight");
      Safetensors.Entry reference = expected.get(own ? "lm_head.weight" : name);
      assertClose(name, floats(item), floats(reference), tolerance);
    }
  }

  static double[] floats(Tensor t) {
    return floats(t.toHost(), t.dtype(), t.shape());
  }

  static double[] floats(Safetensors.Entry entry) {
    return floats(entry.data(), entry.dtype(), entry.shape());
  }

  static double[] floats(Safetensors.Item item) {
    return floats(item.data().get(), item.dtype(), item.shape());
  }

  private static double[] floats(MemorySegment data, DType type, Shape shape) {
    double[] out = new double[(int) shape.elements()];
    for (int i = 0; i < out.length; i++) {
      out[i] = FloatBits.get(data, type, i);
    }
    return out;
  }

  /** {@code max|got - ref| <= tolerance · max|ref|}. */
  static void assertClose(String what, double[] got, double[] ref, double tolerance) {
    assertThat(got).as(what).hasSameSizeAs(ref);
    double worst = 0;
    double scale = 0;
    int where = 0;
    for (int i = 0; i < ref.length; i++) {
      double error = Math.abs(got[i] - ref[i]);
      if (!(error <= worst)) {
        worst = error;
        where = i;
      }
      scale = Math.max(scale, Math.abs(ref[i]));
    }
    assertThat(worst / scale)
        .as("%s: largest error at %d: got %s, expected %s", what, where, got[where], ref[where])
        .isLessThanOrEqualTo(tolerance);
  }

  int parameterCount() {
    return (int) buffer.size();
  }

  Parameter parameter(String name) {
    return buffer.get(name);
  }

  @Override
  public void close() {
    state.close();
    buffer.close();
    workspace.close();
    batches.forEach(Memory::close);
    device.close();
  }
}
