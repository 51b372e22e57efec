package dev.javelin.train;

import dev.javelin.autograd.Tape;
import dev.javelin.autograd.Var;
import dev.javelin.device.Cpu;
import dev.javelin.device.Cuda;
import dev.javelin.device.CudaException;
import dev.javelin.device.DType;
import dev.javelin.device.Device;
import dev.javelin.device.Memory;
import dev.javelin.kernels.BundledKernels;
import dev.javelin.nn.Grouping;
import dev.javelin.nn.KvCache;
import dev.javelin.nn.ParameterBuffer;
import dev.javelin.nn.Precision;
import dev.javelin.nn.Transformer;
import dev.javelin.nn.TransformerConfig;
import dev.javelin.tensor.Shape;
import dev.javelin.tensor.Tensor;
import dev.javelin.tensor.step.LossScaling;
import dev.javelin.tensor.step.StepState;
import dev.javelin.tensor.step.Workspace;
import dev.javelin.train.data.InputException;
import dev.javelin.train.optim.AdamW;
import dev.javelin.train.optim.AdamWConfig;
import dev.javelin.train.optim.GradientClip;
import dev.javelin.train.optim.Optimizer;
import dev.javelin.train.settings.DeviceSpec;
import org.jspecify.annotations.Nullable;

/**
 * Opens what {@code --device} names: {@code auto}, {@code cpu}, {@code cuda}, {@code cuda:1} or
 * {@code emulator}.
 *
 * <p>Whether a GPU can run a model is tried, not looked up: one layer of it, on eight tokens,
 * forward, backward and update. An operator without a kernel for its sizes says so.
 */
public final class Devices {
  /** The values of {@code --device}. */
  public static final String NAMES = DeviceSpec.NAMES;

  private static final int TRIAL_TOKENS = 8;
  private static final int TRIAL_VOCABULARY = 64;
  private static final long TRIAL_SLAB_BYTES = 16 << 20;

  private Devices() {}

  /** What a model is to do on the device. */
  public enum Use {
    TRAINING,
    INFERENCE
  }

  /**
   * A device, and a line on why it is not the GPU of this machine; {@code null} where there is
   * nothing to say.
   */
  public record Choice(Device device, @Nullable String note) {}

  /** Whether {@code name} is one of {@link #NAMES}. */
  public static boolean isName(String name) {
    return DeviceSpec.isName(name);
  }

  /**
   * Opens a device for a model.
   *
   * @param threads of the CPU, where that is taken
   * @throws InputException where the named device is not there, or cannot run the model; {@code
   *     auto} takes the CPU then
   */
  public static Choice open(
      String name, int threads, TransformerConfig model, Precision precision, Use use) {
    if (name.equals("cpu") || name.equals("auto") && !Cuda.hasDriver()) {
      return new Choice(Cpu.open(threads), null);
    }
    String obstacle;
    try {
      Cuda cuda = cuda(name);
      boolean taken = false;
      try {
        obstacle = obstacle(cuda, model, precision, use);
        taken = obstacle == null;
      } finally {
        if (!taken) {
          cuda.close();
        }
      }
      if (taken) {
        return new Choice(cuda, null);
      }
    } catch (CudaException e) {
      obstacle = e.getMessage();
    }
    if (name.equals("auto")) {
      return new Choice(Cpu.open(threads), "the GPU is not used: " + obstacle);
    }
    throw new InputException("--device " + name + ": " + obstacle);
  }

  private static Cuda cuda(String name) {
    if (name.equals("emulator")) {
      return Cuda.emulated(new BundledKernels());
    }
    int colon = name.indexOf(':');
    return Cuda.open(
        colon < 0 ? 0 : Integer.parseInt(name.substring(colon + 1)), new BundledKernels());
  }

  /** Why the model cannot run there; {@code null} where it can. */
  private static @Nullable String obstacle(
      Cuda cuda, TransformerConfig model, Precision precision, Use use) {
    Grouping grouping =
        switch (use) {
          case TRAINING -> Grouping.decayMatrices(0);
          case INFERENCE -> Grouping.frozen();
        };
    Shape batch = Shape.of(1, Math.min(TRIAL_TOKENS, model.positions()));
    try (ParameterBuffer<Transformer> parameters =
            Transformer.allocate(
                cuda, model.withLayers(1).withVocab(TRIAL_VOCABULARY), precision, grouping);
        Workspace workspace = Workspace.on(cuda, TRIAL_SLAB_BYTES);
        StepState state = StepState.on(cuda);
        Memory ids = cuda.allocate(DType.I32.bytes(batch.elements()))) {
      Tensor tokens = Tensor.of(ids, 0, DType.I32, batch);
      switch (use) {
        case TRAINING -> step(parameters, workspace, state, tokens);
        case INFERENCE -> read(cuda, parameters, precision, workspace, state, tokens);
      }
      cuda.synchronize();
      return null;
    } catch (IllegalArgumentException e) {
      return e.getMessage(); // no kernel for a size of this model
    }
  }

  private static void step(
      ParameterBuffer<Transformer> parameters,
      Workspace workspace,
      StepState state,
      Tensor tokens) {
    Tape tape = new Tape(workspace);
    Var loss = parameters.model().loss(tape, tokens, tokens, state);
    tape.backward(loss);
    GradientClip.byNorm(1, LossScaling.NONE).run(state, parameters.gradients());
    try (Optimizer optimizer = new AdamW(parameters, new AdamWConfig(0.9f, 0.999f, 1e-8f))) {
      optimizer.step(state);
    }
  }

  private static void read(
      Cuda cuda,
      ParameterBuffer<Transformer> parameters,
      Precision precision,
      Workspace workspace,
      StepState state,
      Tensor tokens) {
    Transformer model = parameters.model();
    model.loss(Tape.inference(workspace), tokens, tokens, state);
    try (KvCache cache =
        KvCache.allocate(cuda, model.config(), precision.weights(), 1, tokens.dim(1))) {
      model.next(Tape.inference(workspace), tokens, cache);
    }
  }
}
