package dev.javelin.train.chat.jinja;

import java.util.List;
import org.jspecify.annotations.Nullable;

/** What a loop knows of itself. */
final class Loop implements Callable {
  private final List<Object> items;
  private final int depth;

  /** Of a recursive loop: goes through other items. */
  private final @Nullable Callable again;

  private int at = -1;
  private @Nullable List<Object> changed;

  Loop(List<Object> items, int depth, @Nullable Callable again) {
    this.items = items;
    this.depth = depth;
    this.again = again;
  }

  void advance() {
    at++;
  }

  @Nullable Object attribute(String name) {
    return switch (name) {
      case "index" -> at + 1L;
      case "index0" -> (long) at;
      case "revindex" -> (long) items.size() - at;
      case "revindex0" -> items.size() - at - 1L;
      case "first" -> at == 0;
      case "last" -> at == items.size() - 1;
      case "length" -> (long) items.size();
      case "depth" -> depth + 1L;
      case "depth0" -> (long) depth;
      case "previtem" -> at > 0 ? items.get(at - 1) : new Undefined("there is no previous item");
      case "nextitem" ->
          at + 1 < items.size() ? items.get(at + 1) : new Undefined("there is no next item");
      case "cycle" ->
          (Callable)
              (with, args) -> {
                if (args.positional().isEmpty()) {
                  throw new TemplateException(0, "has nothing to cycle through");
                }
                return args.positional().get(at % args.positional().size());
              };
      case "changed" ->
          (Callable)
              (with, args) -> {
                boolean other =
                    changed == null || !Values.equal(changed, args.positional(), with.budget());
                changed = args.positional();
                return other;
              };
      default -> null;
    };
  }

  @Override
  public Object call(Evaluator with, Args args) {
    if (again == null) {
      throw new TemplateException(0, "only a loop with 'recursive' can be called");
    }
    return again.call(with, args);
  }
}
