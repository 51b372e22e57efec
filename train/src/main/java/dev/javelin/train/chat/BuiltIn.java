package dev.javelin.train.chat;

import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.util.List;
import java.util.Locale;
import java.util.Objects;
import java.util.Optional;
import java.util.stream.Collectors;
import java.util.stream.Stream;

/** Templates for models that bring none. */
enum BuiltIn {
  CHATML("<|im_start|>", "<|im_end|>"),
  LLAMA2(),
  LLAMA3("<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>"),
  MISTRAL(),
  GEMMA("<start_of_turn>", "<end_of_turn>"),
  PHI3("<|system|>", "<|user|>", "<|assistant|>", "<|end|>"),
  ALPACA(),
  ZEPHYR();

  /** What the template writes and should be single tokens. */
  private final List<String> controlTokens;

  BuiltIn(String... controlTokens) {
    this.controlTokens = List.of(controlTokens);
  }

  String title() {
    return name().toLowerCase(Locale.ROOT);
  }

  static Optional<BuiltIn> named(String title) {
    return Stream.of(values()).filter(one -> one.title().equals(title)).findFirst();
  }

  /** {@code chatml, llama2, …}. */
  static String titles() {
    return Stream.of(values()).map(BuiltIn::title).collect(Collectors.joining(", "));
  }

  static List<String> controlTokens(String title) {
    return named(title).map(one -> one.controlTokens).orElse(List.of());
  }

  /**
   * @param addsBos whether the tokenizer puts a token before every text: then a template does that
   *     has none of its own
   */
  String source(boolean addsBos) {
    String file = title() + ".jinja";
    try (InputStream in = Objects.requireNonNull(BuiltIn.class.getResourceAsStream(file), file)) {
      String source = new String(in.readAllBytes(), StandardCharsets.UTF_8);
      return addsBos && !source.contains("bos_token") ? "{{- bos_token }}\n" + source : source;
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }
}
