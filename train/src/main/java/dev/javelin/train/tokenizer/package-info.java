/**
 * Text to token ids and back. Bytes, characters, and byte-pair encoding as Hugging Face's {@code
 * tokenizer.json}, {@code vocab.json} with {@code merges.txt} and tiktoken's rank files describe
 * it; and the training of a byte-level vocabulary.
 */
@NullMarked
package dev.javelin.train.tokenizer;

import org.jspecify.annotations.NullMarked;
