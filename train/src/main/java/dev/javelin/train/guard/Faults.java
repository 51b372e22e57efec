package dev.javelin.train.guard;

import dev.javelin.device.DType;
import dev.javelin.nn.ParameterBuffer;
import dev.javelin.tensor.Parameter;
import dev.javelin.tensor.Shape;
import dev.javelin.tensor.Tensor;
import dev.javelin.tensor.io.FileCalls;
import dev.javelin.tensor.op.Elementwise;
import dev.javelin.tensor.op.Fill;
import dev.javelin.tensor.step.StepState;
import dev.javelin.train.data.BatchSource;
import dev.javelin.train.hook.After;
import dev.javelin.train.hook.StepHook;
import dev.javelin.train.monitor.RunEvent;
import dev.javelin.train.optim.FlatState;
import dev.javelin.train.optim.Optimizer;
import java.io.IOException;
import java.nio.channels.WritableByteChannel;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.atomic.AtomicLong;
import java.util.function.Consumer;
import org.jspecify.annotations.Nullable;

/**
 * Makes a run go wrong on purpose, to see that it survives: what {@code --inject} asks for. Rows,
 * weights, gradients and files are really touched, so that all that follows is as in an accident.
 * Each fault comes once, also where the run goes back and does its step again.
 */
public final class Faults {
  private static final int KILLED = 137; // 128 + SIGKILL

  private final List<Fault> faults;
  private final BadRows badRows = new BadRows();
  private final AtomicLong nanosToWait = new AtomicLong();
  private Runnable kill = () -> Runtime.getRuntime().halt(KILLED);

  public Faults(List<Fault> faults) {
    this.faults = List.copyOf(faults);
  }

  /** Calls something where the process would be ended. */
  Faults killBy(Runnable call) {
    kill = call;
    return this;
  }

  /** The rows that the run reads, some of them spoilt. */
  public BatchSource of(BatchSource rows) {
    return faults.stream().anyMatch(f -> f.kind() == Fault.Kind.SPIKE) ? badRows.of(rows) : rows;
  }

  /** The disk that the run writes to. */
  public FileCalls disk() {
    return new FileCalls() {
      @Override
      public void sync(WritableByteChannel channel) throws IOException {
        long nanos = nanosToWait.getAndSet(0);
        if (nanos > 0) {
          try {
            Thread.sleep(nanos / 1_000_000, (int) (nanos % 1_000_000));
          } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
          }
        }
        FileCalls.super.sync(channel);
      }
    };
  }

  /** What does the rest. */
  public StepHook on(ParameterBuffer<?> parameters, Optimizer optimizer) {
    return new Hook(parameters, optimizer);
  }

  private final class Hook implements StepHook {
    private final ParameterBuffer<?> parameters;
    private final Optimizer optimizer;
    private final List<RunEvent> events = new ArrayList<>();
    private long step;
    private long furthest; // faults of steps up to this one have been
    private @Nullable Tensor weight; // that is NaN meanwhile
    private @Nullable Tensor kept; // what it was

    Hook(ParameterBuffer<?> parameters, Optimizer optimizer) {
      this.parameters = parameters;
      this.optimizer = optimizer;
    }

    @Override
    public String name() {
      return "rehearsal";
    }

    @Override
    public void begin(long done, long place, int rows) {
      step = done + 1;
      if (step > furthest) {
        for (Fault f : faults) {
          begin(f, place, rows);
        }
      }
    }

    private void begin(Fault f, long place, int rows) {
      if (f.kind() == Fault.Kind.SPIKE && f.step() == step) {
        badRows.add(place, place + (long) f.steps() * rows);
      } else if (f.kind() == Fault.Kind.NAN_FORWARD && f.isIn(step)) {
        breakWeight();
      } else if (f.kind() == Fault.Kind.SLOW_DISK && f.step() == step) {
        nanosToWait.set(f.time().toNanos());
      } else {
        return;
      }
      tell(f);
    }

    /** A step of a recorded graph reads the weight where it lies: so it is changed there. */
    private void breakWeight() {
      Parameter p =
          parameters.named().values().stream()
              .filter(q -> q.grad() != null)
              .reduce((a, b) -> b.shape().rank() == 1 || a.shape().rank() > 1 ? b : a)
              .orElseThrow();
      Tensor one = p.value().slice(0, 0, 1);
      Tensor copy =
          Tensor.of(
              one.device().allocate(one.dtype().bytes(one.elements())),
              0,
              one.dtype(),
              one.shape());
      Elementwise.copy(copy, one);
      Elementwise.scale(one, one, Float.NaN);
      weight = one;
      kept = copy;
    }

    @Override
    public void gradient(StepState state) {
      if (weight != null && kept != null) {
        Elementwise.copy(weight, kept);
        kept.device().synchronize();
        kept.memory().close();
        weight = null;
        kept = null;
      }
      if (step <= furthest) {
        return;
      }
      furthest = step;
      for (Fault f : faults) {
        if (f.isIn(step)) {
          spoil(f);
        }
      }
    }

    private void spoil(Fault f) {
      switch (f.kind()) {
        case NAN_GRADIENT -> put(parameters.gradients(), Float.NaN);
        case OVERFLOW -> put(parameters.gradients(), Float.POSITIVE_INFINITY);
        case NAN_MOMENT -> {
          for (FlatState kept : optimizer.state()) {
            if (kept.buffer().dtype() == DType.F32) {
              put(kept.buffer(), Float.NaN);
              break;
            }
          }
        }
        case KILL -> {} // behind the step
        case SPIKE, NAN_FORWARD, SLOW_DISK -> {
          return;
        }
      }
      tell(f);
    }

    private void put(Tensor buffer, float value) {
      Fill.constant(Tensor.of(buffer.memory(), buffer.offset(), DType.F32, Shape.of(1)), value);
    }

    private void tell(Fault f) {
      events.add(new RunEvent(step, "inject", "rehearsal: " + f.kind().label()));
    }

    @Override
    public void events(Consumer<RunEvent> out) {
      events.forEach(out);
      events.clear();
    }

    @Override
    public After after(long done) {
      if (faults.stream().anyMatch(f -> f.kind() == Fault.Kind.KILL && f.step() == done)) {
        kill.run();
      }
      return After.GO_ON;
    }
  }
}
