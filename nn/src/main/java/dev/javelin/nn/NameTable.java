package dev.javelin.nn;

import dev.javelin.tensor.Parameter;
import dev.javelin.tensor.Shape;
import java.util.ArrayList;
import java.util.Collections;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.SequencedMap;
import java.util.Set;
import java.util.function.UnaryOperator;
import java.util.regex.Pattern;
import org.jspecify.annotations.Nullable;

/**
 * The names that files give a model's parameters: each is a range of rows of one of ours, perhaps
 * transposed. Loading, saving, optimizer state and patterns for groups go through it; users see no
 * other names.
 */
public final class NameTable {
  static final String OTHER_MODEL = "the weights do not belong to this config.json";

  /** What wrappers for training put into names, at their front or between layers. */
  private static final Pattern WRAPPER =
      Pattern.compile(
          "(?<=^|\\.)(module|_orig_mod|_fsdp_wrapped_module|_checkpoint_wrapped_module)\\.");

  private final String prefix;
  private final @Nullable Pattern buffers;
  private final @Nullable String head;
  private final SequencedMap<String, Place> places;
  private final SequencedMap<String, Place> copies;
  private final SequencedMap<Pattern, String> aliases;
  private final Set<String> optional;

  /**
   * Where a tensor stands in ours.
   *
   * @param parameter our name
   * @param fromRow first row; a vector's element is a row
   * @param rows number of rows
   * @param transposed whether the file holds {@code [in, out]}, as GPT-2's Conv1D does
   * @param order how the file orders those rows; {@code null} for as ours
   */
  public record Place(
      String parameter, int fromRow, int rows, boolean transposed, @Nullable GroupedHeads order) {
    public Place(String parameter, int fromRow, int rows, boolean transposed) {
      this(parameter, fromRow, rows, transposed, null);
    }

    /** The same rows of another parameter. */
    public Place of(String other) {
      return new Place(other, fromRow, rows, transposed, order);
    }

    /** The same rows alone, which are all of another parameter that files hold as we do. */
    public Place moved(String other) {
      return new Place(other, 0, rows, false, order);
    }

    /** Which of our rows a row of the file is. */
    public int row(int inFile) {
      return fromRow + (order == null ? inFile : order.row(inFile));
    }
  }

  /**
   * Queries, keys and values as they stand in one tensor of some files: for each key head its query
   * heads, then the key head, then the value head. Ours are all queries, all keys, all values.
   */
  public record GroupedHeads(int heads, int kvHeads, int headDim) {
    int row(int inFile) {
      int queries = heads / kvHeads;
      int head = inFile / headDim;
      int group = head / (queries + 2);
      int member = head % (queries + 2);
      int ours =
          member < queries
              ? group * queries + member
              : heads + (member - queries) * kvHeads + group;
      return ours * headDim + inFile % headDim;
    }
  }

  private NameTable(Builder b) {
    this.prefix = b.prefix;
    this.buffers = b.buffers;
    this.head = b.head;
    this.places = Collections.unmodifiableSequencedMap(b.places);
    this.copies = Collections.unmodifiableSequencedMap(b.copies);
    this.aliases = b.aliases;
    this.optional = b.optional;
  }

  /**
   * A table to be filled.
   *
   * @param prefix what stands before most names and is left out in some files, {@code "model."}
   */
  public static Builder builder(String prefix) {
    return new Builder(prefix);
  }

  /** Takes up names in the order of the layers, which is that of the files. */
  public static final class Builder {
    private final String prefix;
    private final SequencedMap<String, Place> places = new LinkedHashMap<>();
    private final SequencedMap<String, Place> copies = new LinkedHashMap<>();
    private final SequencedMap<Pattern, String> aliases = new LinkedHashMap<>();
    private final Set<String> optional = new LinkedHashSet<>();
    private @Nullable Pattern buffers;
    private @Nullable String head;

    private Builder(String prefix) {
      this.prefix = prefix;
    }

    /** A tensor that is one of our parameters, of so many rows; a vector's element is a row. */
    public Builder whole(String file, String ours, int rows) {
      return rows(file, ours, 0, rows);
    }

    /** A tensor that is some rows of one of our parameters. */
    public Builder rows(String file, String ours, int fromRow, int rows) {
      places.put(file, new Place(ours, fromRow, rows, false));
      return this;
    }

    /** A tensor that stands where another table's does. */
    public Builder place(String file, Place place) {
      places.put(file, place);
      return this;
    }

    /** The packed projection of queries, keys and values, in another order. */
    public Builder grouped(String file, String ours, GroupedHeads order) {
      int rows = (order.heads + 2 * order.kvHeads) * order.headDim;
      places.put(file, new Place(ours, 0, rows, false, order));
      return this;
    }

    /** A matrix that stands as [in, out] in the file. */
    public Builder transposed(String file, String ours, int rows) {
      places.put(file, new Place(ours, 0, rows, true));
      return this;
    }

    /**
     * The head [V, C]: a parameter of its own, or where it is tied a copy of the embedding that may
     * be there if it is equal.
     */
    public Builder head(String file, boolean tied, int rows) {
      head = file;
      (tied ? copies : places).put(file, new Place(tied ? "tokens" : "head", 0, rows, false));
      return this;
    }

    /** A second name that a tensor may have in files, if it equals the first. */
    public Builder copy(String file, String ours, int rows) {
      copies.put(file, new Place(ours, 0, rows, false));
      return this;
    }

    /** What some files write where others, and ours, have {@code name}. */
    public Builder alias(String regex, String name) {
      aliases.put(Pattern.compile(regex), name);
      return this;
    }

    /** Tensors in published files that hold nothing to be learned, and are passed over. */
    public Builder buffers(String regex) {
      buffers = Pattern.compile(regex);
      return this;
    }

    public NameTable build() {
      return new NameTable(this);
    }
  }

  /** The table of a buffer's model: the one it brings, or its own names. */
  public static NameTable of(ParameterBuffer<?> buffer) {
    return of(buffer.model());
  }

  static NameTable of(Record model) {
    if (model instanceof NamedInFiles named) {
      return named.fileNames();
    }
    Builder own = builder("");
    Set<Parameter> seen = new HashSet<>();
    Components.walk(
        model,
        (name, p) -> {
          if (seen.add(p)) {
            own.whole(name, name, rows(p.shape()));
          }
        });
    return own.build();
  }

  /** Rows of a parameter; an element of a vector is one. */
  static int rows(Shape shape) {
    return shape.rank() < 2 ? (int) shape.elements() : shape.rows();
  }

  /**
   * The same for the files of a model with another head: what that does not have may be missing.
   */
  NameTable reading(NameTable stored) {
    Builder b = copy(prefix, UnaryOperator.identity());
    b.optional.addAll(places.keySet());
    stored.places.keySet().forEach(name -> b.optional.remove(canonical(name)));
    return b.build();
  }

  /**
   * The same without the head, whose tensor is passed over, for a model that has ours under {@code
   * path}.
   */
  NameTable headless(String path) {
    Builder b = copy(prefix, UnaryOperator.identity());
    if (head != null) {
      b.places.remove(head);
      b.copies.remove(head);
      String passedOver = Pattern.quote(head);
      b.buffers(buffers == null ? passedOver : buffers.pattern() + "|" + passedOver);
      b.head = null;
    }
    b.places.replaceAll((name, place) -> place.of(path + place.parameter()));
    b.copies.replaceAll((name, place) -> place.of(path + place.parameter()));
    return b.build();
  }

  /** The same with a tensor more, which is one of our parameters, of so many rows. */
  NameTable with(String file, String ours, int rows) {
    return copy(prefix, UnaryOperator.identity()).whole(file, ours, rows).build();
  }

  /** The same where tensors of some names are not read, should they be there. */
  NameTable without(String regex) {
    Builder b = copy(prefix, UnaryOperator.identity());
    b.buffers(buffers == null ? regex : buffers.pattern() + "|" + regex);
    places.keySet().stream().filter(name -> name.matches(regex)).forEach(b.optional::add);
    return b.build();
  }

  /** The same places under other names, such as those of a family that renames another's. */
  public NameTable renamed(String newPrefix, UnaryOperator<String> rename) {
    return copy(newPrefix, rename).build();
  }

  private Builder copy(String newPrefix, UnaryOperator<String> rename) {
    Builder b = builder(newPrefix);
    b.aliases.putAll(aliases);
    optional.forEach(name -> b.optional.add(rename.apply(name)));
    places.forEach((name, place) -> b.places.put(rename.apply(name), place));
    copies.forEach((name, place) -> b.copies.put(rename.apply(name), place));
    b.buffers = buffers;
    b.head = head == null ? null : rename.apply(head);
    return b;
  }

  /** The name in files to the place in ours, in the order of the layers. */
  public SequencedMap<String, Place> places() {
    return places;
  }

  /** Tensors that may be there if they equal what {@link #places} has read. */
  public SequencedMap<String, Place> copies() {
    return copies;
  }

  /** The names of the tensors that make up one of our parameters. */
  public List<String> namesOf(String parameter) {
    List<String> names = new ArrayList<>();
    places.forEach(
        (name, place) -> {
          if (place.parameter().equals(parameter)) {
            names.add(name);
          }
        });
    return names;
  }

  /**
   * The full form of a name: files of a model without its head leave the prefix out, those of a
   * wrapped model ({@code DataParallel}, {@code torch.compile}) put {@code module.} or {@code
   * _orig_mod.} before it.
   */
  public String canonical(String name) {
    String bare = places.containsKey(name) ? name : WRAPPER.matcher(name).replaceAll("");
    for (Map.Entry<Pattern, String> alias : aliases.entrySet()) {
      bare = alias.getKey().matcher(bare).replaceFirst(alias.getValue());
    }
    return places.containsKey(bare) || !places.containsKey(prefix + bare) ? bare : prefix + bare;
  }

  /** Whether a tensor of that name may be there and is not read. */
  boolean isBuffer(String name) {
    return buffers != null && buffers.matcher(name).matches();
  }

  /** Whether a tensor may be missing, and its parameter stays as it was drawn. */
  boolean isOptional(String name) {
    return optional.contains(name);
  }

  /** What to do where a tensor is missing. */
  String remedy(String name) {
    return name.equals(head)
        ? "set tie_word_embeddings to true in config.json if the head is the embedding"
        : OTHER_MODEL + ", or a shard is not there";
  }
}
