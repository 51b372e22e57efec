package dev.javelin.tensor.op;

import dev.javelin.device.DType;
import dev.javelin.tensor.FlatWeights;
import dev.javelin.tensor.Shape;
import dev.javelin.tensor.Tensor;
import dev.javelin.tensor.io.JsonObject;
import dev.javelin.tensor.step.StepState;
import dev.javelin.tensor.step.Workspace;
import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.List;
import java.util.function.Function;
import org.jspecify.annotations.Nullable;

/** The update rules by the names and constants that the golden files give them. */
final class UpdateRules {
  private UpdateRules() {}

  /** Buffers that a rule keeps, zero at first, and what it is told. */
  record Kept(Workspace ws, int n, JsonObject hyper, List<Tensor> made) {
    static Kept on(Workspace ws, int n, JsonObject hyper) {
      return new Kept(ws, n, hyper, new ArrayList<>());
    }

    Tensor buffer(int k) {
      while (made.size() <= k) {
        made.add(zeros(ws, n));
      }
      return made.get(k);
    }

    @Nullable Tensor buffer(int k, boolean there) {
      return there ? buffer(k) : null;
    }

    float number(String key, double otherwise) {
      return (float) hyper.number(key, otherwise);
    }

    boolean is(String key) {
      return hyper.flag(key, false);
    }

    float beta(int i) {
      return (float) OptimizerGolden.numbers(hyper.array("betas"))[i];
    }
  }

  interface Step {
    void run(FlatWeights flat, StepState state);

    /** Before the gradient of step t is there. */
    default void before(int t, String parameter, FlatWeights flat, StepState state) {}
  }

  record SophiaStep(Kept k) implements Step {
    @Override
    public void before(int t, String parameter, FlatWeights flat, StepState state) {
      if (t % k.hyper.integer("hessian_interval", 1, 100) == 0) {
        float[] given = OptimizerGolden.tensors("hessian." + parameter);
        float[] roots = new float[k.n];
        for (int i = 0; i < k.n; i++) {
          roots[i] = (float) Math.sqrt(given[t * k.n + i]);
        }
        flat.grads().fromHost(MemorySegment.ofArray(roots));
        Sophia.estimate(k.buffer(1), flat.grads(), state, k.beta(1));
      }
    }

    @Override
    public void run(FlatWeights flat, StepState state) {
      Sophia.step(
          flat, k.buffer(0), k.buffer(1), state, k.beta(0), k.number("rho", 0), k.number("eps", 0));
    }
  }

  static @Nullable Function<Kept, Step> of(String optimizer) {
    return switch (optimizer) {
      case "sgd" ->
          k -> {
            float mu = k.number("momentum", 0);
            float dampening = k.number("dampening", 0);
            Tensor v = k.buffer(0, mu != 0);
            return (f, s) -> Sgd.step(f, v, s, mu, dampening, k.is("nesterov"));
          };
      case "adam" ->
          k -> {
            Tensor largest = k.buffer(2, k.is("amsgrad"));
            return (f, s) ->
                Adam.step(
                    f,
                    k.buffer(0),
                    k.buffer(1),
                    largest,
                    s,
                    k.beta(0),
                    k.beta(1),
                    k.number("eps", 0));
          };
      case "adamw" ->
          k ->
              (f, s) ->
                  AdamW.step(
                      f, k.buffer(0), k.buffer(1), s, k.beta(0), k.beta(1), k.number("eps", 0));
      case "adagrad" ->
          k -> {
            Fill.constant(k.buffer(0), k.number("initial_accumulator_value", 0));
            return (f, s) ->
                AdaGrad.step(f, k.buffer(0), s, k.number("lr_decay", 0), k.number("eps", 0));
          };
      case "rmsprop" ->
          k -> {
            float mu = k.number("momentum", 0);
            Tensor mean = k.buffer(1, k.is("centered"));
            Tensor v = k.buffer(2, mu != 0);
            return (f, s) ->
                RmsProp.step(
                    f, k.buffer(0), mean, v, s, k.number("alpha", 0), mu, k.number("eps", 0));
          };
      case "lion" -> k -> (f, s) -> Lion.step(f, k.buffer(0), s, k.beta(0), k.beta(1));
      case "lamb" ->
          k ->
              (f, s) ->
                  Lamb.step(
                      f, k.buffer(0), k.buffer(1), s, k.beta(0), k.beta(1), k.number("eps", 0));
      case "sophia" -> SophiaStep::new;
      default -> null;
    };
  }

  static Tensor zeros(Workspace ws, int n) {
    Tensor t = ws.alloc(DType.F32, Shape.of(n));
    Fill.zero(t);
    return t;
  }
}
