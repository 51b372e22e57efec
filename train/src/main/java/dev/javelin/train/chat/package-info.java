/**
 * Conversations: what is said in them, how a model's template writes them as text, and which of the
 * tokens are learned.
 */
@NullMarked
package dev.javelin.train.chat;

import org.jspecify.annotations.NullMarked;
