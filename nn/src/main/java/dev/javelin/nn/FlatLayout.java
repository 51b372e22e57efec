package dev.javelin.nn;

import dev.javelin.device.DType;
import dev.javelin.kernels.Quantization;
import dev.javelin.tensor.Group;
import dev.javelin.tensor.Parameter;
import dev.javelin.tensor.Segment;
import dev.javelin.tensor.Shape;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.SequencedMap;
import java.util.SequencedSet;
import org.jspecify.annotations.Nullable;

/** The places of a model's parameters in the flat buffers of {@link ParameterBuffer}. */
final class FlatLayout {
  private static final int ALIGNMENT = 128; // elements: 256 bytes of the smallest float type

  private FlatLayout() {}

  /**
   * Where a parameter stands.
   *
   * @param start first element in the weights of its type
   * @param flat first element in the gradients
   */
  record Slot(String name, Shape shape, Group group, DType type, long start, long flat) {
    /** How it is kept in fewer bits; {@code null} where it is not. */
    @Nullable Quantization quantization() {
      return group.quantization();
    }

    /** Of what stands in memory. */
    Shape stored() {
      Quantization q = quantization();
      return q == null ? shape : Shape.of(Math.toIntExact(q.bytes(shape.dim(0), shape.dim(1))));
    }
  }

  /** In order of declaration; positions are by type and group, those that are frozen last. */
  static List<Slot> of(
      List<Parameter> declared, Map<Parameter, String> names, Grouping grouping, DType precision) {
    SequencedMap<Group, List<Integer>> byGroup = new LinkedHashMap<>();
    List<Slot> slots = new ArrayList<>();
    for (Parameter p : declared) {
      String name = names.get(p);
      if (name == null) {
        throw new IllegalArgumentException(
            "a parameter of shape "
                + p.value().shape()
                + " was declared but is not reachable from the model's record components");
      }
      Group group = grouping.of(name, p.value().shape());
      DType type = group.type() == null ? precision : group.type();
      if (group.quantization() != null) {
        requireMatrix(name, p.value().shape(), group.quantization());
        type = DType.U8;
      }
      if (!type.isFloat() && !group.frozen()) {
        throw new IllegalArgumentException(
            "%s cannot be trained as %s: give its group a float type or freeze it"
                .formatted(name, type));
      }
      byGroup.computeIfAbsent(group, g -> new ArrayList<>()).add(slots.size());
      slots.add(new Slot(name, p.value().shape(), group, type, 0, 0));
    }
    SequencedSet<DType> types = new LinkedHashSet<>();
    slots.forEach(s -> types.add(s.type));
    long flat = 0;
    for (DType type : types) {
      long end = 0;
      for (boolean frozen : new boolean[] {false, true}) {
        for (Map.Entry<Group, List<Integer>> group : byGroup.entrySet()) {
          for (int i : group.getValue()) {
            Slot s = slots.get(i);
            if (s.type == type && group.getKey().frozen() == frozen) {
              slots.set(i, new Slot(s.name, s.shape, s.group, type, end, frozen ? -1 : flat));
              end += padded(s.stored());
              flat += frozen ? 0 : padded(s.stored());
            }
          }
        }
      }
    }
    return slots;
  }

  private static void requireMatrix(String name, Shape shape, Quantization q) {
    if (shape.rank() != 2) {
      throw new IllegalArgumentException(
          "%s %s is no matrix and cannot be kept as %s".formatted(name, shape, q.label()));
    }
  }

  static long padded(Shape shape) {
    return (shape.elements() + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
  }

  /** The shape of so many elements, a multiple of the alignment. */
  static Shape shape(long elements) {
    return Shape.of(row(elements), ALIGNMENT);
  }

  static int row(long element) {
    return Math.toIntExact(element / ALIGNMENT);
  }

  static Slot slot(Map<Parameter, Slot> slots, Parameter p) {
    Slot slot = slots.get(p);
    if (slot == null) {
      throw new IllegalArgumentException(p.name() + " is not a parameter of this buffer");
    }
    return slot;
  }

  /** Where the next one begins in the weights of its type. */
  static long end(Slot s) {
    return s.start + padded(s.stored());
  }

  /**
   * A segment for each.
   *
   * @param origin element of the weights from which segments count
   */
  static List<Segment> each(List<Slot> ordered, long origin) {
    return ordered.stream()
        .map(
            s ->
                new Segment(
                    s.start - origin, end(s) - origin, s.group.lrScale(), s.group.weightDecay()))
        .toList();
  }

  /** The same, where neighbours that are updated alike are merged. */
  static List<Segment> segments(List<Slot> ordered, long origin) {
    List<Segment> out = new ArrayList<>();
    for (Segment s : each(ordered, origin)) {
      Segment last = out.isEmpty() ? null : out.getLast();
      if (last != null && last.lrScale() == s.lrScale() && last.weightDecay() == s.weightDecay()) {
        out.set(out.size() - 1, new Segment(last.from(), s.to(), s.lrScale(), s.weightDecay()));
      } else {
        out.add(s);
      }
    }
    return List.copyOf(out);
  }
}
