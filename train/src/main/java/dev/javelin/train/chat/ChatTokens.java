package dev.javelin.train.chat;

import java.util.BitSet;

/**
 * A conversation as a model sees it.
 *
 * @param ids of the tokens
 * @param learned which of them are to be learned
 */
@SuppressWarnings("ArrayRecordComponent") // read at once, never compared
public record ChatTokens(int[] ids, BitSet learned) {}
