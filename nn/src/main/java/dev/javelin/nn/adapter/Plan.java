package dev.javelin.nn.adapter;

import dev.javelin.nn.Components;
import dev.javelin.nn.Declare;
import dev.javelin.nn.Dropout;
import dev.javelin.nn.Linear;
import dev.javelin.nn.NameTable;
import dev.javelin.nn.NameTable.Place;
import dev.javelin.nn.ParameterBuffer;
import dev.javelin.nn.Transformer;
import dev.javelin.nn.adapter.LoraConfig.Targets;
import dev.javelin.tensor.Parameter;
import dev.javelin.tensor.Shape;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.SequencedMap;
import java.util.SequencedSet;
import java.util.Set;
import java.util.TreeSet;
import java.util.function.Predicate;

/**
 * What a configuration asks of a model: which rows of which layers, which parameters whole, and the
 * names that all of that has in PEFT's files.
 *
 * @param linear the last parts of the names of all linear layers
 * @param saved parameters that are trained whole, by the name of that which each stands in for
 */
record Plan(
    LoraConfig config,
    NameTable names,
    boolean transposed,
    SequencedSet<String> linear,
    List<Layer> layers,
    SequencedMap<String, Whole> saved) {
  private static final String PREFIX = "base_model.model.";

  /** A linear layer with adapters. */
  private record Layer(Linear linear, List<Part> parts) {
    String weight() {
      return linear.weight().name();
    }
  }

  /** Rows of a layer with an adapter. */
  private record Part(String module, Place place, int rank, float scale) {}

  /** A parameter that is trained whole, and the base's that it begins as. */
  private record Whole(Parameter from, SequencedMap<String, Place> files) {}

  /**
   * @throws IllegalArgumentException where the model has no such layers, or they cannot be adapted
   */
  static Plan of(ParameterBuffer<Transformer> base, LoraConfig config) {
    NameTable table = NameTable.of(base);
    SequencedMap<String, Whole> saved = saved(base, table, config);
    List<Layer> layers = new ArrayList<>();
    SequencedSet<String> linear = new LinkedHashSet<>();
    boolean transposed = false;
    for (Linear l : Components.linears(base.model())) {
      List<Part> parts = new ArrayList<>();
      for (Map.Entry<String, Place> e : table.places().entrySet()) {
        Place place = e.getValue();
        if (place.parameter().equals(l.weight().name())) {
          String module = module(e.getKey());
          linear.add(module);
          if (config.adapts(module)) {
            parts.add(new Part(module, place, config.rank(module), (float) config.scale(module)));
            transposed |= place.transposed();
          }
        }
      }
      if (!parts.isEmpty()) {
        require(
            !saved.containsKey(l.weight().name()),
            "%s is adapted and trained whole (modules_to_save): choose one",
            parts.getFirst().module);
        parts.sort(Comparator.comparingInt(p -> p.place.fromRow()));
        layers.add(new Layer(l, List.copyOf(parts)));
      }
    }
    requireLinear(table, config, linear);
    require(
        !layers.isEmpty(),
        "no linear layer of the model is meant by the targets: it has %s",
        String.join(", ", last(linear)));
    NameTable names = names(layers, saved, config.dora());
    return new Plan(config, names, transposed, last(linear), List.copyOf(layers), saved);
  }

  /** Refuses names of which the model has none, as nobody means them. */
  Plan requireAllNamed() {
    if (config.targets() instanceof Targets.Named(List<String> wanted)) {
      for (String name : wanted) {
        boolean found =
            layers.stream()
                .flatMap(l -> l.parts.stream())
                .anyMatch(p -> ModuleNames.isOneOf(p.module, List.of(name)));
        require(
            found,
            "the model has no linear layer called %s; it has %s",
            name,
            String.join(", ", linear));
      }
    }
    return this;
  }

  private static void requireLinear(
      NameTable table, LoraConfig config, SequencedSet<String> linear) {
    if (config.targets() instanceof Targets.AllLinear) {
      return;
    }
    for (String name : allNames(table)) {
      String module = module(name);
      require(
          linear.contains(module) || !config.adapts(module),
          "%s is meant by the targets and gets no adapter, only linear layers do (%s): name those, and train it whole by modules_to_save",
          module,
          String.join(", ", last(linear)));
    }
  }

  private static SequencedSet<String> last(SequencedSet<String> modules) {
    SequencedSet<String> last = new LinkedHashSet<>();
    modules.forEach(m -> last.add(m.substring(m.lastIndexOf('.') + 1)));
    return last;
  }

  private static String module(String tensor) {
    int dot = tensor.lastIndexOf('.');
    return dot < 0 ? tensor : tensor.substring(0, dot);
  }

  private static List<String> allNames(NameTable table) {
    List<String> names = new ArrayList<>(table.places().keySet());
    names.addAll(table.copies().keySet());
    return names;
  }

  private static SequencedMap<String, Whole> saved(
      ParameterBuffer<Transformer> base, NameTable table, LoraConfig config) {
    SequencedMap<String, SequencedMap<String, Place>> found = new LinkedHashMap<>();
    Predicate<String> wanted = name -> config.saves(module(name));
    table
        .places()
        .forEach(
            (name, place) -> {
              if (wanted.test(name)) {
                found
                    .computeIfAbsent(place.parameter(), p -> new LinkedHashMap<>())
                    .put(name, place);
              }
            });
    table
        .copies()
        .forEach(
            (name, place) -> { // a tied head that is trained whole is one of its own
              if (wanted.test(name)) {
                found.put("head", new LinkedHashMap<>(Map.of(name, place)));
              }
            });
    for (String module : config.modulesToSave()) {
      require(
          allNames(table).stream().anyMatch(name -> module(name).endsWith(module)),
          "the model has no module whose name ends in %s, which modules_to_save names",
          module);
    }
    SequencedMap<String, Whole> saved = new LinkedHashMap<>();
    found.forEach(
        (name, files) -> {
          Parameter from = base.get(files.firstEntry().getValue().parameter());
          int rows = files.values().stream().mapToInt(Place::rows).sum();
          Shape shape = from.shape();
          require(
              rows == (shape.rank() < 2 ? shape.elements() : shape.rows()),
              "%s is a part of a packed projection and cannot be trained whole alone: name %s in modules_to_save, or adapt it",
              module(files.firstEntry().getKey()),
              String.join(", ", new TreeSet<>(table.namesOf(from.name()))));
          saved.put(name, new Whole(from, files));
        });
    return saved;
  }

  /**
   * All modules to be trained whole where a file has more of them than were named, as PEFT writes
   * embeddings that it takes for changed; none where it has not.
   */
  List<String> unasked(NameTable base, Set<String> inFile) {
    SequencedSet<String> more = new LinkedHashSet<>();
    for (String name : inFile) {
      String canonical = names.canonical(name);
      String bare = canonical.startsWith(PREFIX) ? canonical.substring(PREFIX.length()) : canonical;
      if (!names.places().containsKey(canonical)
          && (base.places().containsKey(bare) || base.copies().containsKey(bare))) {
        more.add(module(bare));
      }
    }
    if (more.isEmpty()) {
      return List.of();
    }
    more.addAll(config.modulesToSave());
    return List.copyOf(more);
  }

  private static NameTable names(
      List<Layer> layers, SequencedMap<String, Whole> saved, boolean dora) {
    NameTable.Builder names = NameTable.builder(PREFIX);
    for (int i = 0; i < layers.size(); i++) {
      String adapter = "layers." + i + ".adapter.";
      int rank = 0;
      for (int p = 0; p < layers.get(i).parts.size(); p++) {
        Part part = layers.get(i).parts.get(p);
        String file = PREFIX + part.module + ".";
        String ours = adapter + "parts." + p + ".";
        names.rows(file + "lora_A.weight", adapter + "down", rank, part.rank);
        names.place(file + "lora_B.weight", part.place.moved(ours + "up"));
        if (dora) {
          names.place(file + "lora_magnitude_vector", part.place.moved(ours + "magnitude"));
        }
        rank += part.rank;
      }
    }
    int i = 0;
    for (Whole whole : saved.values()) {
      String ours = "saved." + i++ + ".value";
      whole.files.forEach((name, place) -> names.place(PREFIX + name, place.of(ours)));
    }
    return names
        .alias("\\.modules_to_save(?=\\.)", "") // as versions of PEFT before 0.4 have it
        .alias("\\.default(?=\\.|$)", "")
        .alias("\\.lora_magnitude_vector\\.weight$", ".lora_magnitude_vector")
        .build();
  }

  /** The adapters, for {@link ParameterBuffer#allocate}. */
  Adapters declare(Declare d) {
    List<Adapters.Layer> adapted = new ArrayList<>();
    for (Layer layer : layers) {
      int in = layer.linear.weight().shape().dim(1);
      Parameter down = d.parameter(layer.parts.stream().mapToInt(Part::rank).sum(), in);
      List<LowRankAdapter.Part> parts = new ArrayList<>();
      for (Part p : layer.parts) {
        int rows = p.place.rows();
        parts.add(
            new LowRankAdapter.Part(
                p.module,
                p.place.fromRow(),
                d.parameter(rows, p.rank),
                p.scale,
                config.dora() ? d.parameter(rows) : null,
                config.dora() ? d.constant(rows, 1) : null));
      }
      Dropout dropout = new Dropout(config.dropout(), Adapters.FIRST_SITE + adapted.size());
      adapted.add(new Adapters.Layer(layer.weight(), new LowRankAdapter(down, parts, dropout)));
    }
    List<Adapters.Saved> whole = new ArrayList<>();
    saved.forEach(
        (name, w) -> {
          Parameter own = d.parameter(w.from.shape().toArray());
          whole.add(new Adapters.Saved(name, w.from.name(), own));
        });
    return new Adapters(config, names, transposed, List.copyOf(adapted), List.copyOf(whole));
  }

  private static void require(boolean holds, String message, Object... arguments) {
    if (!holds) {
      throw new IllegalArgumentException(message.formatted(arguments));
    }
  }
}
