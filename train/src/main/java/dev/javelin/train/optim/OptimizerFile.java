package dev.javelin.train.optim;

import dev.javelin.device.DType;
import dev.javelin.nn.ParameterBuffer;
import dev.javelin.nn.Weights;
import dev.javelin.tensor.Parameter;
import dev.javelin.tensor.Shape;
import dev.javelin.tensor.Tensor;
import dev.javelin.tensor.io.FileFormatException;
import dev.javelin.tensor.io.Safetensors;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteOrder;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.SortedSet;
import java.util.TreeSet;
import java.util.function.Function;
import org.jspecify.annotations.Nullable;

/**
 * {@code optimizer.safetensors}: the fp32 masters of half weights and the state of whatever rule
 * moves them, {@code master.NAME}, {@code exp_avg.NAME} …, under the parameters' names in files.
 */
public final class OptimizerFile {
  public static final String NAME = "optimizer.safetensors";
  private static final String MASTER = "master";
  private static final ValueLayout.OfFloat FLOAT =
      ValueLayout.JAVA_FLOAT_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);

  private final ParameterBuffer<?> parameters;
  private final Optimizer optimizer;

  public OptimizerFile(ParameterBuffer<?> parameters, Optimizer optimizer) {
    this.parameters = parameters;
    this.optimizer = optimizer;
  }

  /** Bytes that the rule keeps besides weights, gradients and masters. */
  public static long bytes(Optimizer optimizer) {
    return optimizer.state().stream()
        .mapToLong(s -> s.buffer().dtype().bytes(s.buffer().elements()))
        .sum();
  }

  /**
   * Writes the file, whole or not at all.
   *
   * @throws java.io.UncheckedIOException where the directory cannot be written or the disk is full
   */
  public void save(Path directory) {
    Safetensors.write(directory.resolve(NAME), Map.of("format", "pt"), items());
  }

  private List<Safetensors.Item> items() {
    List<Safetensors.Item> items = new ArrayList<>();
    Tensor master = parameters.master();
    if (master != null) {
      items.addAll(Weights.items(parameters, MASTER + ".", p -> part(master, p)));
    }
    for (FlatState state : optimizer.state()) {
      Tensor buffer = state.buffer();
      switch (state.layout()) {
        case LIKE_WEIGHTS ->
            items.addAll(Weights.items(parameters, state.name() + ".", state.parts()::get));
        case OWN ->
            items.add(
                new Safetensors.Item(state.name(), buffer.dtype(), buffer.shape(), buffer::toHost));
        case PARTS ->
            state
                .parts()
                .forEach(
                    (p, part) ->
                        items.add(
                            new Safetensors.Item(
                                name(state, p), part.dtype(), part.shape(), part::toHost)));
      }
    }
    return items;
  }

  /**
   * Reads what {@link #save} wrote.
   *
   * @throws FileFormatException where it does not fit this model, precision and rule
   */
  public void load(Path directory) {
    try (Safetensors file = Safetensors.open(directory.resolve(NAME))) {
      requireSameRule(file);
      Tensor master = parameters.master();
      if (master != null) {
        Weights.read(parameters, file, MASTER + ".", p -> part(master, p));
      }
      for (FlatState state : optimizer.state()) {
        Tensor buffer = state.buffer();
        switch (state.layout()) {
          case LIKE_WEIGHTS ->
              Weights.read(parameters, file, state.name() + ".", state.parts()::get);
          case OWN -> read(file, state.name(), buffer);
          case PARTS -> state.parts().forEach((p, part) -> read(file, name(state, p), part));
        }
      }
    }
  }

  /**
   * Reads what fits of a file that another rule, in another precision or for other parameters,
   * wrote; what the rule keeps beside that stays as it was made. Masters become the weights where
   * these are fp32 now.
   *
   * @return what begins anew, by name; empty where all was there
   * @throws FileFormatException where the file is damaged
   */
  public SortedSet<String> adopt(Path directory) {
    SortedSet<String> anew = new TreeSet<>();
    try (Safetensors file = Safetensors.open(directory.resolve(NAME))) {
      Tensor master = parameters.master();
      Function<Parameter, @Nullable Tensor> precise =
          master == null ? this::trained : p -> part(master, p);
      readThere(file, MASTER, precise);
      for (FlatState state : optimizer.state()) {
        boolean whole =
            switch (state.layout()) {
              case LIKE_WEIGHTS -> readThere(file, state.name(), state.parts()::get);
              case OWN -> readThere(file, state.name(), state.buffer());
              case PARTS -> {
                boolean all = true;
                for (Map.Entry<Parameter, Tensor> part : state.parts().entrySet()) {
                  all &= readThere(file, name(state, part.getKey()), part.getValue());
                }
                yield all;
              }
            };
        if (!whole) {
          anew.add(state.name());
        }
      }
    }
    return anew;
  }

  /** Weights that masters can be read into. */
  private @Nullable Tensor trained(Parameter p) {
    return p.group().frozen() || p.value().dtype() != DType.F32 ? null : p.value();
  }

  /** Whether the file had all of it. */
  private boolean readThere(
      Safetensors file, String state, Function<Parameter, @Nullable Tensor> target) {
    boolean all = true;
    String prefix = state + ".";
    for (Parameter p : parameters.named().values()) {
      List<Safetensors.Item> tensors =
          Weights.items(parameters, prefix, q -> q == p ? target.apply(p) : null);
      boolean there = tensors.stream().allMatch(t -> file.entries().containsKey(t.name()));
      if (there) {
        Weights.read(parameters, file, prefix, q -> q == p ? target.apply(p) : null);
      }
      all &= there;
    }
    return all;
  }

  private static boolean readThere(Safetensors file, String name, Tensor into) {
    Safetensors.Entry entry = file.entries().get(name);
    boolean fits =
        entry != null
            && entry.type().equals(into.dtype().name())
            && entry.shape().equals(into.shape());
    if (fits) {
      read(file, name, into);
    }
    return fits;
  }

  /** A rule that keeps less than another would read what it knows and lose the rest in silence. */
  private void requireSameRule(Safetensors file) {
    Set<String> kept = new TreeSet<>();
    if (parameters.master() != null) {
      kept.add(MASTER);
    }
    for (FlatState state : optimizer.state()) {
      if (state.layout() != FlatState.Layout.PARTS || !state.parts().isEmpty()) {
        kept.add(state.name());
      }
    }
    Set<String> there = new TreeSet<>();
    for (String name : file.entries().keySet()) {
      there.add(kept.contains(name) || !name.contains(".") ? name : name.replaceFirst("\\..*", ""));
    }
    if (!there.equals(kept)) {
      throw new FileFormatException(
          file.file(),
          "holds %s, this optimizer and precision keep %s".formatted(there, kept),
          "resume with the --optimizer, --precision and --weight-update it was trained with, or with --override if the change is intended: what is missing begins anew");
    }
    SortedSet<String> trained = new TreeSet<>();
    items().forEach(item -> trained.add(item.name()));
    SortedSet<String> before = new TreeSet<>(file.entries().keySet());
    if (!before.equals(trained)) {
      SortedSet<String> added = new TreeSet<>(trained);
      added.removeAll(before);
      before.removeAll(trained);
      throw new FileFormatException(
          file.file(),
          added.isEmpty()
              ? "holds %s, which is not trained now (%d such in all)"
                  .formatted(before.first(), before.size())
              : "does not hold %s, which is trained now (%d such in all)"
                  .formatted(added.first(), added.size()),
          "resume with the parameters trained and frozen as before, or with --override if the change is intended");
    }
  }

  private static void read(Safetensors file, String name, Tensor into) {
    Safetensors.Entry entry = file.get(name);
    Shape shape = into.shape();
    if (entry.dtype() != into.dtype() || !entry.shape().equals(shape)) {
      throw new FileFormatException(
          file.file(),
          "tensor %s must be %s, got %s%s".formatted(name, into, entry.dtype(), entry.shape()),
          "the checkpoint belongs to another model or optimizer");
    }
    MemorySegment data = entry.data();
    if (into.dtype() == DType.F32) {
      requireFinite(file, name, data, shape.elements());
    }
    into.fromHost(data);
  }

  private static void requireFinite(
      Safetensors file, String name, MemorySegment data, long elements) {
    for (long i = 0; i < elements; i++) {
      float value = data.getAtIndex(FLOAT, i);
      if (!Float.isFinite(value)) {
        throw new FileFormatException(
            file.file(),
            "tensor %s holds %s at element %d".formatted(name, value, i),
            "training that wrote it diverged, or the file is damaged: use an earlier checkpoint");
      }
    }
  }

  private static String name(FlatState state, Parameter p) {
    return state.name() + "." + p.name();
  }

  /** A parameter's part of a flat buffer; none of one that is not trained. */
  private @Nullable Tensor part(Tensor flat, Parameter p) {
    return p.group().frozen() ? null : parameters.part(flat, p);
  }
}
