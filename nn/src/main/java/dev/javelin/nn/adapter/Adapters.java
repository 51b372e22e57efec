package dev.javelin.nn.adapter;

import dev.javelin.device.Device;
import dev.javelin.device.Turn;
import dev.javelin.kernels.cpu.Philox;
import dev.javelin.nn.Components;
import dev.javelin.nn.Grouping;
import dev.javelin.nn.Linear;
import dev.javelin.nn.NameTable;
import dev.javelin.nn.NamedInFiles;
import dev.javelin.nn.ParameterBuffer;
import dev.javelin.nn.Precision;
import dev.javelin.nn.Transformer;
import dev.javelin.nn.Weights;
import dev.javelin.tensor.Group;
import dev.javelin.tensor.Parameter;
import dev.javelin.tensor.Shape;
import dev.javelin.tensor.io.FileFormatException;
import dev.javelin.tensor.io.Safetensors;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.zip.CRC32C;

/**
 * The adapters of a model: parameters of their own, in a buffer of their own, beside a base whose
 * parameters are never written. {@link #on} gives the model that computes with them; any number of
 * adapters may share one base.
 *
 * <pre>{@code
 * var base = HuggingFace.load(device, config, Precision.BF16, Grouping.frozen(), directory);
 * var adapters = Adapters.create(base, Precision.BF16, LoraConfig.of(8), Grouping.decayMatrices(0), 1, seed);
 * Transformer model = adapters.model().on(base.model()); // train adapters, compute with model
 * Adapters.save(adapters, Path.of("adapter"));          // for PEFT
 * }</pre>
 *
 * @param layers the adapters of linear layers, in the order of the model
 * @param saved parameters that stand in for the base's
 */
public record Adapters(
    LoraConfig config,
    NameTable fileNames,
    boolean transposed,
    List<Layer> layers,
    List<Saved> saved)
    implements NamedInFiles {
  static final String WEIGHTS_FILE = "adapter_model.safetensors";
  static final int FIRST_SITE = 1 << 20; // of dropout; a model's own begin at 0
  private static final String HEAD = "head";

  /**
   * The adapter of one layer.
   *
   * @param weight the name of the layer's weight in the base
   */
  record Layer(String weight, LowRankAdapter adapter) {}

  /**
   * A parameter that is trained whole.
   *
   * @param name of that which it stands in for; {@code head} where the base has its embedding there
   * @param from the base's parameter that it begins as
   */
  record Saved(String name, String from, Parameter value) {}

  /**
   * Fresh adapters, which change nothing yet: each A uniform in ±1/√in, a function of seed, name
   * and element alone, each B zero, each magnitude the length of its row, saved modules as in the
   * base.
   *
   * @param base its parameters are frozen, and stay the caller's
   * @param grouping decay of the adapters' parameters by name and shape
   * @param upRate learning rate of each B as a multiple of the others', LoRA+; 1 for LoRA
   * @throws IllegalArgumentException where no layer is adapted, or one cannot be
   * @see <a href="https://arxiv.org/abs/2402.12354">Hayou et al. 2024, LoRA+</a>
   */
  public static ParameterBuffer<Adapters> create(
      ParameterBuffer<Transformer> base,
      Precision precision,
      LoraConfig config,
      Grouping grouping,
      float upRate,
      long seed) {
    Plan plan = Plan.of(base, config).requireAllNamed();
    ParameterBuffer<Adapters> buffer =
        ParameterBuffer.allocate(
            device(base), precision, plusRate(grouping, upRate), plan::declare);
    try {
      if (!buffer.isRehearsal()) {
        begin(buffer, base, seed);
      }
      return buffer;
    } catch (RuntimeException | OutOfMemoryError e) {
      buffer.close();
      throw e;
    }
  }

  /**
   * The adapters of a PEFT directory.
   *
   * @throws dev.javelin.tensor.io.FileFormatException where a file is missing or damaged, or does
   *     not fit the base
   */
  public static ParameterBuffer<Adapters> load(
      ParameterBuffer<Transformer> base,
      Precision precision,
      LoraConfig config,
      Grouping grouping,
      float upRate,
      Path directory) {
    Path file = weights(directory);
    Plan plan = plan(base, config, directory, file);
    ParameterBuffer<Adapters> buffer =
        Weights.load(
            device(base), precision, plusRate(grouping, upRate), plan::declare, plan.names(), file);
    if (!buffer.isRehearsal()) {
      buffer.model().measure(base);
    }
    return buffer;
  }

  /**
   * Reads the weights that {@link #save} wrote into adapters that are there.
   *
   * @throws dev.javelin.tensor.io.FileFormatException where they do not fit
   */
  public static void load(ParameterBuffer<Adapters> buffer, Path directory) {
    Weights.load(buffer, weights(directory));
  }

  private static Path weights(Path directory) {
    Path file = directory.resolve(WEIGHTS_FILE);
    if (!Files.exists(file) && Files.exists(directory.resolve("adapter_model.bin"))) {
      throw new FileFormatException(
          directory,
          "holds its weights as adapter_model.bin, which Javelin does not read",
          "convert them to " + WEIGHTS_FILE + ", with save_pretrained of PEFT for instance");
    }
    return file;
  }

  /** What the configuration asks for, and what the file holds whole without being asked. */
  private static Plan plan(
      ParameterBuffer<Transformer> base, LoraConfig config, Path directory, Path file) {
    try (Safetensors tensors = Safetensors.open(file)) {
      Plan plan = Plan.of(base, config);
      List<String> more = plan.unasked(NameTable.of(base), tensors.entries().keySet());
      return more.isEmpty() ? plan : Plan.of(base, config.withModulesToSave(more));
    } catch (ModuleNames.Unusable e) {
      throw new FileFormatException(
          directory.resolve(AdapterJson.FILE),
          "a pattern in it " + e.getMessage(),
          "correct the pattern",
          e);
    } catch (FileFormatException e) {
      throw e;
    } catch (IllegalArgumentException e) {
      throw new FileFormatException(
          directory.resolve(AdapterJson.FILE),
          "does not fit the base model: " + e.getMessage(),
          "use the model that the adapter was trained on",
          e);
    }
  }

  private static Device device(ParameterBuffer<?> base) {
    return base.named().firstEntry().getValue().value().device();
  }

  private static Grouping plusRate(Grouping grouping, float rate) {
    return new Grouping() {
      @Override
      public Group of(String name, Shape shape) {
        Group g = grouping.of(name, shape);
        return name.endsWith(".up")
            ? new Group(g.name() + "-up", g.lrScale() * rate, g.weightDecay(), g.frozen(), g.type())
            : g;
      }

      @Override
      public Grouping in(NameTable table) {
        return plusRate(grouping.in(table), rate);
      }
    };
  }

  private static void begin(
      ParameterBuffer<Adapters> buffer, ParameterBuffer<Transformer> base, long seed) {
    Adapters adapters = buffer.model();
    adapters.measure(base);
    for (Layer layer : adapters.layers) {
      Parameter down = layer.adapter.down();
      int rank = 0;
      for (LowRankAdapter.Part p : layer.adapter.parts()) {
        int in = down.value().dim(1);
        float[] row = new float[in];
        for (int r = 0; r < p.rank(); r++) {
          uniform(row, seed, p.module(), r);
          buffer.put(down, (long) (rank + r) * in, row, in);
        }
        rank += p.rank();
        if (p.magnitude() != null && p.squares() != null) {
          float[] lengths = p.squares().toFloats();
          for (int i = 0; i < lengths.length; i++) {
            lengths[i] = (float) Math.sqrt(lengths[i]);
          }
          buffer.put(p.magnitude(), 0, lengths, lengths.length);
        }
      }
    }
    for (Saved s : adapters.saved) {
      float[] values = base.values(base.get(s.from));
      buffer.put(s.value, 0, values, values.length);
    }
  }

  /** Kaiming's uniform numbers with a = √5: within ±1/√in. */
  private static void uniform(float[] row, long seed, String module, int r) {
    CRC32C crc = new CRC32C();
    crc.update(module.getBytes(StandardCharsets.UTF_8));
    int stream = (int) crc.getValue();
    double bound = 1 / Math.sqrt(row.length);
    int[] words = new int[Philox.WORDS];
    for (int i = 0; i < row.length; i++) {
      if (i % Philox.WORDS == 0) {
        Philox.block(words, i / Philox.WORDS, r, 0, stream, seed);
      }
      row[i] = (float) (words[i % Philox.WORDS] * 0x1p-31 * bound);
    }
  }

  private void measure(ParameterBuffer<Transformer> base) {
    try (Turn _ = device(base).turn()) {
      Components.linears(base.model())
          .forEach(
              linear ->
                  layers.stream()
                      .filter(l -> l.weight.equals(linear.weight().name()))
                      .forEach(l -> l.adapter.measure(linear)));
    }
  }

  /** The model that computes with these adapters; its own parameters are shared. */
  public Transformer on(Transformer base) {
    Transformer adapted =
        Components.replace(
            base,
            node -> {
              if (node instanceof Linear linear) {
                for (Layer layer : layers) {
                  if (layer.weight.equals(linear.weight().name())) {
                    return linear.withAdapter(layer.adapter);
                  }
                }
              }
              if (node instanceof Parameter p) {
                for (Saved s : saved) {
                  if (s.name.equals(p.name())) {
                    return s.value;
                  }
                }
              }
              return node;
            });
    if (base.head() != null) {
      return adapted;
    }
    // The head was the embedding; where one of them is trained, they part.
    for (Saved s : saved) {
      if (s.name.equals(HEAD)) {
        return Components.with(adapted, HEAD, s.value);
      }
    }
    return adapted.tokens() == base.tokens()
        ? adapted
        : Components.with(adapted, HEAD, base.tokens());
  }

  /**
   * Writes {@code adapter_config.json} and {@code adapter_model.safetensors} in F32, which PEFT
   * loads.
   *
   * @throws java.io.UncheckedIOException where the directory cannot be written or the disk is full
   */
  public static void save(ParameterBuffer<Adapters> buffer, Path directory) {
    Adapters adapters = buffer.model();
    Safetensors.write(
        directory.resolve(WEIGHTS_FILE),
        Map.of("format", "pt"),
        Weights.items(buffer, "", buffer::precise));
    AdapterJson.write(adapters.config, adapters.modules(), adapters.transposed, directory);
  }

  /**
   * A plain model that computes the same: {@code W + s·B·A}, of DoRA with its rows at their
   * lengths, summed in double and rounded once. Where the base had its embedding for a head and one
   * of the two was trained whole, the result has a head of its own.
   */
  public static ParameterBuffer<Transformer> merged(
      ParameterBuffer<Adapters> adapters, ParameterBuffer<Transformer> base, Precision precision) {
    return Merge.of(adapters, base, precision);
  }

  /** The names of the layers that have an adapter. */
  public List<String> modules() {
    List<String> names = new ArrayList<>();
    layers.forEach(l -> l.adapter.parts().forEach(p -> names.add(p.module())));
    return names;
  }
}
