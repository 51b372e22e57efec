package dev.javelin.train.chat;

import dev.javelin.train.data.TextDocument;
import dev.javelin.train.data.TextFiles;
import dev.javelin.train.data.Texts;
import dev.javelin.train.data.format.Document;
import java.util.List;
import java.util.Map;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;

/** What is said in rows, for a tokenizer that is made of it; and what a template adds. */
record ChatTexts(TextFiles files, @Nullable String template) implements Texts {
  @Override
  public String name() {
    return files.name();
  }

  @Override
  public boolean separated() {
    return true;
  }

  @Override
  public Stream<TextDocument> documents() {
    String source =
        BuiltIn.named(template == null ? "alpaca" : template)
            .map(builtIn -> builtIn.source(false))
            .orElse("");
    return Stream.concat(
        source.isEmpty() ? Stream.empty() : Stream.of(new TextDocument("template", source)),
        files.rows().map(row -> new TextDocument(row.source(), said(row))));
  }

  private static String said(Document row) {
    StringBuilder text = new StringBuilder();
    row.fields().values().forEach(value -> add(value, text));
    return text.toString();
  }

  private static void add(@Nullable Object value, StringBuilder text) {
    switch (value) {
      case String said -> text.append(said).append('\n');
      case List<?> list -> list.forEach(item -> add(item, text));
      case Map<?, ?> map -> map.values().forEach(item -> add(item, text));
      case null, default -> {}
    }
  }
}
