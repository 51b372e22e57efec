package dev.javelin.train.estimate;

import java.util.List;
import java.util.Locale;
import org.jspecify.annotations.Nullable;

/** A run does not fit into the memory that it may take. */
public final class NotEnoughMemoryException extends RuntimeException {
  private static final long serialVersionUID = 1;

  private final transient String details;

  private NotEnoughMemoryException(String message, String details, @Nullable Throwable cause) {
    super(message, cause);
    this.details = details;
  }

  /**
   * A run that has not begun.
   *
   * @param device its name
   */
  public static NotEnoughMemoryException before(
      MemoryTable table, String device, boolean onHost, Budget budget, List<Remedy> remedies) {
    long needed = onHost ? table.total() : table.device();
    return new NotEnoughMemoryException(
        "the run needs %s, and %s may be taken%s; --memory-check=false starts it all the same"
            .formatted(MemoryTable.size(needed), budget, first(needed, remedies, budget.bytes())),
        table.format(device, onHost) + lines(needed, remedies, budget.bytes()),
        null);
  }

  /**
   * A run that was refused memory.
   *
   * @param used bytes in use on the device when it asked for more
   */
  public static NotEnoughMemoryException during(
      Throwable refusal,
      long step,
      long used,
      MemoryTable table,
      String device,
      boolean onHost,
      Budget budget,
      List<Remedy> remedies) {
    long needed = onHost ? table.total() : table.device();
    return new NotEnoughMemoryException(
        "out of memory in step %d: %s; %s of tensors were in use, the run was estimated at %s, and %s may be taken%s"
            .formatted(
                step + 1,
                refusal.getMessage(),
                MemoryTable.size(used),
                MemoryTable.size(needed),
                budget,
                first(needed, remedies, budget.bytes())),
        table.format(device, onHost) + lines(needed, remedies, budget.bytes()),
        refusal);
  }

  /** The first way out that leads far enough, or else the one that leads farthest. */
  private static String first(long needed, List<Remedy> remedies, long budget) {
    List<Remedy> less = remedies.stream().filter(r -> r.bytes() < needed).toList();
    if (less.isEmpty()) {
      return "";
    }
    Remedy best =
        less.stream().filter(r -> r.bytes() <= budget).findFirst().orElse(less.getFirst());
    return "; with %s it needs %s".formatted(best.flags(), MemoryTable.size(best.bytes()));
  }

  private static String lines(long needed, List<Remedy> remedies, long budget) {
    StringBuilder out = new StringBuilder();
    for (Remedy r : remedies) {
      if (r.bytes() < needed) {
        out.append(
            String.format(
                Locale.ROOT,
                "%s saves %s%s%n",
                r.flags(),
                MemoryTable.size(needed - r.bytes()),
                r.bytes() <= budget ? " and fits" : ""));
      }
    }
    return out.toString();
  }

  /** The table, and what would take less, the best first; lines. */
  public String details() {
    return details;
  }
}
