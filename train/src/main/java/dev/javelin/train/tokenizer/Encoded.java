package dev.javelin.train.tokenizer;

/**
 * The ids of a text, and where in them given places of the text lie.
 *
 * @param ids of the whole text
 * @param before by place, how many ids hold nothing but what stands before it
 * @param upTo by place, how many ids hold something of what stands before it; one more than {@code
 *     before} where a token reaches across the place
 */
@SuppressWarnings("ArrayRecordComponent") // read at once, never compared
public record Encoded(int[] ids, int[] before, int[] upTo) {}
