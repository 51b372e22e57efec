package dev.javelin.kernels.cpu;

/**
 * The sizes of an attention: q {@code [batch, queries, queryHeads, dim]}, k and v {@code [batch,
 * keys, kvHeads, dim]}. Query head {@code h} uses key head {@code h / (queryHeads / kvHeads)};
 * query {@code i} stands at position {@code keys − queries + i}.
 */
public record AttentionShape(
    int batch, int queries, int keys, int queryHeads, int kvHeads, int dim) {

  /** Query heads that share a key head. */
  int group() {
    return queryHeads / kvHeads;
  }

  /** The same with so many keys. */
  AttentionShape withKeys(int other) {
    return new AttentionShape(batch, queries, other, queryHeads, kvHeads, dim);
  }

  /** The position of the first query. */
  int firstPosition() {
    return keys - queries;
  }
}
