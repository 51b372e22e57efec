package dev.javelin.train.trace;

import dev.javelin.train.trace.Event.Access;
import dev.javelin.train.trace.Event.Barrier;
import dev.javelin.train.trace.Event.Copy;
import dev.javelin.train.trace.Event.Space;
import dev.javelin.train.trace.Event.WarpOperation;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.TreeMap;
import java.util.stream.Collectors;
import java.util.stream.Stream;

/**
 * One launch of a kernel, and what the traced warp did in it, each thread in the order of its
 * program.
 */
record Launch(String kernel, Size grid, Size block, List<Event> events) {
  private static final int HEX = 16;
  private static final int WIDEST = 16; // bytes of an access

  /** A grid's or a block's. */
  record Size(int x, int y, int z) {
    static Size of(String text) {
      String[] parts = text.split(",");
      return new Size(number(parts[0]), number(parts[1]), number(parts[2]));
    }

    long count() {
      return (long) x * y * z;
    }

    /** Which of them has the number {@code i}, x running fastest. */
    Size at(long i) {
      return new Size((int) (i % x), (int) (i / x % y), (int) (i / x / y));
    }

    /** {@code 3}, {@code (3, 1)} or {@code (3, 1, 0)}: as many as {@code this} has dimensions. */
    String text(long i) {
      Size at = at(i);
      return z > 1
          ? "(%d, %d, %d)".formatted(at.x, at.y, at.z)
          : y > 1 ? "(%d, %d)".formatted(at.x, at.y) : Integer.toString(at.x);
    }

    private static int number(String text) {
      return Integer.parseInt(text);
    }

    /** {@code 4}, {@code 4x2} or {@code 4x2x1}. */
    @Override
    public String toString() {
      return z > 1 ? x + "x" + y + "x" + z : y > 1 ? x + "x" + y : Integer.toString(x);
    }
  }

  /** All launches of a file. */
  static List<Launch> parse(List<String> lines) {
    List<Launch> launches = new ArrayList<>();
    for (String line : lines) {
      String[] words = line.split(" ", 6);
      if (words[0].equals("launch")) {
        launches.add(new Launch(words[5], Size.of(words[1]), Size.of(words[2]), new ArrayList<>()));
      } else {
        launches.getLast().events.add(event(line, words));
      }
    }
    return launches;
  }

  private static Event event(String line, String[] words) {
    int thread = Integer.parseInt(words[1]);
    long site = Long.parseLong(words[2], HEX);
    return switch (words[0]) {
      case "read", "write" ->
          new Access(
              thread,
              site,
              words[0].equals("write"),
              space(words[3]),
              Long.parseLong(words[4], HEX),
              new Bytes(words[5]));
      case "copy" ->
          new Copy(
              thread,
              site,
              space(words[3]),
              Long.parseLong(words[4], HEX),
              Long.parseLong(words[5].split(" ", 2)[0], HEX),
              bytes(words[5].split(" ", 2)[1]));
      case "barrier" -> new Barrier(thread, site, line.split(" ", 4)[3]);
      case "warp" -> new WarpOperation(thread, site, bytes(words[3]), bytes(words[4]), words[5]);
      default -> throw new IllegalArgumentException("a trace has no line such as " + line);
    };
  }

  private static Space space(String name) {
    return Space.valueOf(name.toUpperCase(Locale.ROOT));
  }

  private static Bytes bytes(String digits) {
    return new Bytes(digits.equals("-") ? "" : digits);
  }

  /** The same, where accesses that are one on a GPU are one. */
  Launch joined(SourceLines lines) {
    List<Event> all = new ArrayList<>();
    events.stream()
        .collect(Collectors.groupingBy(Event::thread, TreeMap::new, Collectors.toList()))
        .values()
        .forEach(
            of -> {
              int first = all.size();
              for (Event e : of) {
                Event last = all.size() == first ? null : all.getLast();
                if (last instanceof Access a && e instanceof Access b && isRest(a, b, lines)) {
                  all.set(all.size() - 1, a.with(b));
                } else {
                  all.add(e);
                }
              }
            });
    return new Launch(kernel, grid, block, all);
  }

  private static boolean isRest(Access a, Access b, SourceLines lines) {
    return a.write() == b.write()
        && a.space() == b.space()
        && a.address() + a.bytes().size() == b.address()
        && b.address() % WIDEST != 0
        && lines.areOneAccess(a.site(), b.site());
  }

  Stream<Event> of(int thread) {
    return events.stream().filter(e -> e.thread() == thread);
  }
}
