package dev.javelin.train.tokenizer;

import java.nio.file.Path;
import java.util.Arrays;
import java.util.BitSet;
import java.util.OptionalInt;
import java.util.SequencedMap;
import java.util.Set;
import java.util.function.IntConsumer;
import java.util.stream.IntStream;
import org.jspecify.annotations.Nullable;

/**
 * Text to token ids and back. Instances are immutable but for a cache that threads may share: any
 * number of threads encode and decode with one tokenizer at once, and each gets what it would get
 * alone. The arrays of {@link #files} are shared and not to be written.
 */
public interface Tokenizer {

  /**
   * Hands the ids of {@code text} to {@code out}. The text is data: what looks like a special token
   * is encoded as the characters it is made of, and nothing is put before or behind. Equals Hugging
   * Face's {@code encode(text, add_special_tokens=False)} with {@code encode_special_tokens =
   * True}.
   *
   * <p>Time grows with the length of the text, but for what a split pattern itself asks for.
   *
   * @throws IllegalArgumentException for a character that the vocabulary cannot express, or a text
   *     for which the tokenizer's patterns or replacements are out of bounds
   */
  void encode(String text, IntConsumer out);

  /** {@link #encode(String, IntConsumer)} into an array. */
  default int[] encode(String text) {
    IntStream.Builder ids = IntStream.builder();
    encode(text, ids);
    return ids.build().toArray();
  }

  /**
   * The ids of a text that may hold special tokens and is trusted to: they are recognised, and
   * nothing is put before or behind. Equals Hugging Face's {@code encode(text,
   * add_special_tokens=False)}.
   *
   * @throws IllegalArgumentException as {@link #encode(String, IntConsumer)} does
   */
  default int[] encodeSpecial(String text) {
    return encode(text, new BitSet()).ids();
  }

  /**
   * The same tokenizer for texts that are trusted to hold special tokens: its {@link
   * #encode(String, IntConsumer)} is {@link #encodeSpecial}.
   */
  default Tokenizer parsingSpecialTokens() {
    return new TrustingTokenizer(this);
  }

  /**
   * The ids of a prompt: special tokens in the text are recognised, and what the tokenizer's
   * template adds (a begin-of-text token, say) is added. Equals Hugging Face's {@code
   * encode(text)}.
   */
  int[] encodePrompt(String text);

  /**
   * {@link #encodePrompt} of a text, or of two in one: a question and its answer, say. Equals
   * Hugging Face's {@code encode(text, second)}.
   *
   * @param second null for one text
   */
  default TypedIds encodeTyped(String text, @Nullable String second) {
    int[] first = encodePrompt(text);
    int[] more = second == null ? new int[0] : encodePrompt(second);
    int[] ids = Arrays.copyOf(first, first.length + more.length);
    System.arraycopy(more, 0, ids, first.length, more.length);
    int[] types = new int[ids.length];
    Arrays.fill(types, first.length, ids.length, 1);
    return new TypedIds(ids, types);
  }

  /**
   * The ids of a text that is partly data: special tokens are recognised, but not where one would
   * hold a character of the data. Nothing is put before or behind. Where the data write no special
   * token, equals Hugging Face's {@code encode(text, add_special_tokens=False)}.
   *
   * @param data the positions of its characters
   * @param places positions in the text, ascending, that are to be found in the ids
   */
  Encoded encode(String text, BitSet data, int... places);

  /**
   * The text of {@code ids}; bytes that are not UTF-8 become U+FFFD.
   *
   * @param skipSpecial leave special tokens out rather than write their names
   * @throws IllegalArgumentException for an id outside {@code [0, vocabSize)}
   */
  String decode(int[] ids, boolean skipSpecial);

  /** {@link #decode(int[], boolean)} with special tokens written by name. */
  default String decode(int... ids) {
    return decode(ids, false);
  }

  /** The largest id plus one. */
  int vocabSize();

  /**
   * How many UTF-8 bytes of running text the token stands for; 0 for a special token. The sum over
   * a text's ids is the denominator of bits per byte.
   */
  int byteLength(int id);

  /** The special tokens by name. */
  SequencedMap<String, Integer> specialTokens();

  /** The token before a text, where there is one. */
  OptionalInt bos();

  /** The token that ends a text, where there is one; the usual one of several. */
  OptionalInt eos();

  /** All tokens that end a text as the tokenizer's files say; {@link #eos} is the first. */
  default Set<Integer> ends() {
    return eos().isPresent() ? Set.of(eos().getAsInt()) : Set.of();
  }

  /**
   * The files, by name, that restore this tokenizer in a Hugging Face directory: {@code
   * tokenizer.json} and what belongs to it.
   */
  SequencedMap<String, byte[]> files();

  /**
   * The tokenizer whose {@link #files} these are.
   *
   * @throws dev.javelin.tensor.io.FileFormatException as {@link #load}
   */
  static Tokenizer restore(SequencedMap<String, byte[]> files) {
    return TokenizerFiles.parse(files);
  }

  /**
   * Reads a tokenizer from a directory: the first that is there of {@code tokenizer.json}, {@code
   * vocab.json} with {@code merges.txt}, sentencepiece's {@code tokenizer.model} or {@code
   * spiece.model}, BERT's {@code vocab.txt}, and a rank file of tiktoken under its published name;
   * or from one of these files, but for {@code vocab.json}.
   *
   * <p>{@code tokenizer.json} says how a text is cut. Without it {@code tokenizer_class} does, or
   * the model's type: GPT-2's, GPT-NeoX's or Qwen2's rules. Beside either, {@code
   * added_tokens_decoder}, {@code added_tokens.json} and {@code special_tokens_map.json} add tokens
   * and make them special. {@code add_bos_token}, {@code add_eos_token} and {@code
   * add_prefix_space} are followed where there is no {@code tokenizer.json}; where there is one and
   * it disagrees with them, it counts as in transformers 5, or is refused if versions of
   * transformers differ.
   *
   * @throws dev.javelin.tensor.io.FileFormatException for a damaged file or an unsupported
   *     component
   */
  static Tokenizer load(Path path) {
    return TokenizerFiles.load(path);
  }
}
