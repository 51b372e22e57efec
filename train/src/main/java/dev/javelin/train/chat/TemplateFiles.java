package dev.javelin.train.chat;

import dev.javelin.tensor.io.Json;
import dev.javelin.tensor.io.JsonObject;
import dev.javelin.tensor.io.JsonRules;
import dev.javelin.train.data.InputException;
import dev.javelin.train.tokenizer.Tokenizer;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.charset.CharacterCodingException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.OptionalInt;
import java.util.SequencedMap;
import org.jspecify.annotations.Nullable;

/**
 * Finds the chat template of a model among the files of its tokenizer: {@code chat_template.jinja},
 * {@code chat_template.json}, or {@code chat_template} in {@code tokenizer_config.json}, a text or
 * a list of named ones; further named ones lie in {@code additional_chat_templates/}. The one
 * called {@code default} counts, and {@code tool_use} for conversations with tools.
 */
public final class TemplateFiles {
  static final String JINJA = "chat_template.jinja";
  static final String JSON = "chat_template.json";
  static final String CONFIG = "tokenizer_config.json";

  /** The folder of further templates. */
  public static final String ADDITIONAL = "additional_chat_templates/";

  private static final String DEFAULT = "default";
  private static final String TOOL_USE = "tool_use";
  private static final long LARGEST = 1 << 22;

  private final Tokenizer tokenizer;
  private final Map<String, byte[]> files;
  private final @Nullable JsonObject config;

  private TemplateFiles(Tokenizer tokenizer) {
    this.tokenizer = tokenizer;
    this.files = tokenizer.files();
    this.config = json(CONFIG);
  }

  /** The names of the templates that need no file: {@code chatml, llama2, …}. */
  public static String builtIn() {
    return BuiltIn.titles();
  }

  /**
   * The template that comes with a tokenizer, null where none does.
   *
   * @throws InputException where it is damaged, or needs what is not supported
   */
  public static @Nullable ChatTemplate of(Tokenizer tokenizer) {
    TemplateFiles of = new TemplateFiles(tokenizer);
    SequencedMap<String, String> sources = of.sources();
    if (sources.isEmpty()) {
      return null;
    }
    if (!sources.containsKey(DEFAULT)) {
      throw new InputException(
          "the tokenizer has the chat templates %s and none called default: choose one with --template"
              .formatted(String.join(", ", sources.keySet())));
    }
    return of.template(of.defaultName(), sources.get(DEFAULT), sources.get(TOOL_USE));
  }

  /**
   * A template by its name: a built-in one, one of those that come with the tokenizer, or a file.
   *
   * @throws InputException where there is none of that name
   */
  public static ChatTemplate named(String name, Tokenizer tokenizer) {
    TemplateFiles of = new TemplateFiles(tokenizer);
    BuiltIn builtIn = BuiltIn.named(name).orElse(null);
    if (builtIn != null) {
      return of.template(name, builtIn.source(addsBos(tokenizer)), null);
    }
    Path file = Path.of(name);
    if (Files.isRegularFile(file)) {
      return of.template(name, read(file), null);
    }
    String own = of.sources().get(name);
    if (own == null) {
      throw new InputException(
          "--template %s is neither built in (%s) nor a file nor one of the model's: choose one of them"
              .formatted(name, builtIn()));
    }
    return of.template(name, own, null);
  }

  /** Whether the tokenizer puts its beginning-of-text token before every text. */
  static boolean addsBos(Tokenizer tokenizer) {
    int[] empty = tokenizer.encodePrompt("");
    return tokenizer.bos().isPresent()
        && empty.length > 0
        && empty[0] == tokenizer.bos().getAsInt();
  }

  private ChatTemplate template(String name, @Nullable String source, @Nullable String tools) {
    return ChatTemplate.parse(name, source == null ? "" : source, tools, tokens());
  }

  private static String read(Path file) {
    try {
      if (Files.size(file) > LARGEST) {
        throw new InputException(
            file + " is larger than " + LARGEST + " bytes, too much for a template: name another");
      }
      return Files.readString(file);
    } catch (CharacterCodingException e) {
      throw new InputException(file + " is not UTF-8: save it as such", e);
    } catch (IOException e) {
      throw new InputException(file + " cannot be read: " + e.getMessage(), e);
    }
  }

  private String defaultName() {
    return files.containsKey(JINJA) ? JINJA : files.containsKey(JSON) ? JSON : "in " + CONFIG;
  }

  private @Nullable JsonObject json(String file) {
    byte[] content = files.get(file);
    return content == null
        ? null
        : Json.parse(
            Path.of(file),
            ByteBuffer.wrap(content),
            JsonRules.TOKENIZER.withKind("a tokenizer's configuration").withMaxBytes(16 << 20));
  }

  /** All templates by name. */
  private SequencedMap<String, String> sources() {
    SequencedMap<String, String> sources = new LinkedHashMap<>();
    if (config != null) {
      add(config, sources);
    }
    JsonObject alone = json(JSON);
    if (alone != null) {
      add(alone, sources);
    }
    byte[] jinja = files.get(JINJA);
    if (jinja != null) {
      sources.put(DEFAULT, new String(jinja, StandardCharsets.UTF_8));
    }
    files.forEach(
        (file, content) -> {
          if (file.startsWith(ADDITIONAL) && file.endsWith(".jinja")) {
            String name = file.substring(ADDITIONAL.length(), file.length() - ".jinja".length());
            sources.put(name, new String(content, StandardCharsets.UTF_8));
          }
        });
    return sources;
  }

  private static void add(JsonObject json, SequencedMap<String, String> sources) {
    Object value = json.members().get("chat_template");
    switch (value) {
      case null -> {}
      case String source -> sources.put(DEFAULT, source);
      case List<?> list -> {
        for (Object one : list) {
          if (one instanceof Map<?, ?> named
              && named.get("name") instanceof String name
              && named.get("template") instanceof String source) {
            sources.put(name, source);
          } else {
            throw json.error(
                "chat_template",
                "must be a template, or a list of objects with name and template, got "
                    + JsonObject.brief(one));
          }
        }
      }
      default ->
          throw json.error(
              "chat_template", "must be text or a list, got " + JsonObject.brief(value));
    }
  }

  /** What {@code bos_token} and its like stand for. */
  private SequencedMap<String, String> tokens() {
    SequencedMap<String, String> tokens = new LinkedHashMap<>();
    for (JsonObject json : new JsonObject[] {json("special_tokens_map.json"), config}) {
      if (json == null) {
        continue;
      }
      json.members()
          .forEach(
              (key, value) -> {
                Object text = value instanceof Map<?, ?> token ? token.get("content") : value;
                if (key.endsWith("_token") && text instanceof String content) {
                  tokens.put(key, content);
                }
              });
    }
    putIfKnown("bos_token", tokenizer.bos(), tokens);
    putIfKnown("eos_token", tokenizer.eos(), tokens);
    return tokens;
  }

  private void putIfKnown(String name, OptionalInt id, Map<String, String> tokens) {
    if (id.isPresent()) {
      tokens.putIfAbsent(name, tokenizer.decode(id.getAsInt()));
    }
  }

  /**
   * The files that make {@code template} the one of a saved model, beside those of the tokenizer.
   */
  public static SequencedMap<String, byte[]> written(ChatTemplate template, Tokenizer tokenizer) {
    SequencedMap<String, byte[]> written = new LinkedHashMap<>();
    written.put(JINJA, template.source().getBytes(StandardCharsets.UTF_8));
    JsonObject config = new TemplateFiles(tokenizer).config;
    if (config != null && config.members().containsKey("chat_template")) {
      Map<String, @Nullable Object> members = new LinkedHashMap<>(config.members());
      members.put("chat_template", template.source());
      written.put(CONFIG, (Json.write(members) + "\n").getBytes(StandardCharsets.UTF_8));
    }
    return written;
  }
}
