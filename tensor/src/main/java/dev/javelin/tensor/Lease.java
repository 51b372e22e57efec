package dev.javelin.tensor;

import org.jspecify.annotations.Nullable;

/**
 * Whose memory a tensor uses, and until when. Checked where the tensor's address is taken. With
 * {@code -Djavelin.debug=true} it remembers where in the program it was requested.
 */
public final class Lease {
  private static final boolean DEBUG = Boolean.getBoolean("javelin.debug");

  /** The lease of memory that lives as long as its owner: parameters, optimizer state, batches. */
  public static final Lease UNLIMITED = new Lease("model", -1);

  private final String owner;
  private final int index;
  private final @Nullable Throwable site;
  private boolean ended;

  /**
   * @param index of the range within its step's requests
   */
  public Lease(String owner, int index) {
    this.owner = owner;
    this.index = index;
    this.site = DEBUG && index >= 0 ? new Throwable("the memory was requested here") : null;
  }

  /** Which of its step's requests it is, -1 for memory that no step owns. */
  public int index() {
    return index;
  }

  public String owner() {
    return owner;
  }

  /**
   * Does nothing while the lease holds.
   *
   * @param tensor that is about to be used
   * @throws IllegalStateException where it has ended: says whose the memory was and what to do
   */
  public void check(Tensor tensor) {
    if (ended) {
      throw new IllegalStateException(
          "%s used after its memory was released (it belonged to %s, request %d of its step): the backward pass of a tape, a scope and a reset release what was requested there. Read values before that; take a gradient out with Tape.leaf; request what is to outlive the tape before the tape, or give it memory of its own (Tensor.of). See docs/memory.md, \"Use after release\"%s"
              .formatted(
                  tensor.form(),
                  owner,
                  index,
                  site == null ? "; -Djavelin.debug=true tells where it was requested" : ""),
          site);
    }
  }

  /** Whether {@link #end} was called. */
  public boolean hasEnded() {
    return ended;
  }

  /** From now on {@link #check} fails. */
  public void end() {
    ended = true;
  }
}
