package dev.javelin.tensor;

/** Whose memory a tensor uses, and until when. Checked where the tensor's address is taken. */
public final class Lease {
  /** The lease of memory that lives as long as its owner: parameters, optimizer state, batches. */
  public static final Lease UNLIMITED = new Lease("model", -1);

  private final String owner;
  private final int index;
  private boolean ended;

  /**
   * @param index of the range within its step's requests
   */
  public Lease(String owner, int index) {
    this.owner = owner;
    this.index = index;
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
   * @throws IllegalStateException where it has ended, naming the owner
   */
  public void check() {
    if (ended) {
      throw new IllegalStateException(
          "tensor used after its memory was released (it belonged to " + owner + ")");
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
