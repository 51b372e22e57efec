package dev.javelin.train.tokenizer;

/**
 * The ids of one text or of two, with what the template adds, and for each id which text it belongs
 * to, as BERT's {@code token_type_ids} say it.
 */
@SuppressWarnings("ArrayRecordComponent") // read at once, never compared
public record TypedIds(int[] ids, int[] typeIds) {}
