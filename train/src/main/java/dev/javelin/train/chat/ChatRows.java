package dev.javelin.train.chat;

import dev.javelin.tensor.io.FileFormatException;
import dev.javelin.tensor.io.Json;
import dev.javelin.tensor.io.JsonObject;
import dev.javelin.tensor.io.JsonRules;
import dev.javelin.train.data.format.Document;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.SequencedMap;
import org.jspecify.annotations.Nullable;

/**
 * Reads rows. A row that lacks something is refused with its place and what is missing.
 *
 * @param textIsChat whether a prompt and its answer that are plain text are a conversation, for the
 *     template to write
 */
record ChatRows(boolean textIsChat) {
  private static final String REMEDY =
      "repair the row, choose another --format, or pass over such rows with --skip-bad-rows";

  private static final Map<String, String> SHAREGPT_ROLES =
      Map.ofEntries(
          Map.entry("human", Message.USER),
          Map.entry("user", Message.USER),
          Map.entry("gpt", Message.ASSISTANT),
          Map.entry("assistant", Message.ASSISTANT),
          Map.entry("model", Message.ASSISTANT),
          Map.entry("chatgpt", Message.ASSISTANT),
          Map.entry("bing", Message.ASSISTANT),
          Map.entry("bard", Message.ASSISTANT),
          Map.entry("function_call", Message.ASSISTANT),
          Map.entry("system", Message.SYSTEM),
          Map.entry("tool", "tool"),
          Map.entry("function_response", "tool"),
          Map.entry("observation", "tool"));

  /**
   * What a row says.
   *
   * @throws FileFormatException where it is not of the format
   */
  Sample read(Document row, ChatFormat format) {
    return switch (format) {
      case MESSAGES -> {
        Object messages = row.fields().get("messages");
        String field = messages == null ? "conversations" : "messages";
        yield new Sample.Talk(
            new Conversation(messages(row, field, row.fields().get(field)), tools(row)));
      }
      case SHAREGPT -> new Sample.Talk(new Conversation(turns(row), tools(row)));
      case ALPACA -> new Sample.Talk(new Conversation(instruction(row)));
      case PROMPT_COMPLETION -> {
        Object prompt = row.fields().get("prompt");
        String field = row.fields().containsKey("completion") ? "completion" : "response";
        yield answer(row, prompt, field);
      }
      case PREFERENCE -> {
        Object prompt = row.fields().get("prompt");
        yield new Sample.Pair(answer(row, prompt, "chosen"), answer(row, prompt, "rejected"));
      }
      case TEXT -> throw new IllegalArgumentException("running text has no rows");
    };
  }

  static FileFormatException wrong(Document row, String what) {
    return row.error(what, REMEDY);
  }

  private static String text(Document row, String field) {
    if (row.fields().get(field) instanceof String text) {
      return text;
    }
    throw wrong(row, "has no text under \"" + field + "\"" + instead(row, field));
  }

  private static String optional(Document row, String field) {
    return row.fields().get(field) == null ? "" : text(row, field);
  }

  private static String instead(Document row, String field) {
    return row.fields().containsKey(field)
        ? ", but " + JsonObject.brief(row.fields().get(field))
        : "; it has " + JsonObject.brief(List.copyOf(row.fields().keySet()));
  }

  private static List<?> list(Document row, String field, @Nullable Object value) {
    if (value instanceof List<?> list && !list.isEmpty()) {
      return list;
    }
    throw wrong(
        row,
        value instanceof List<?>
            ? "has an empty list under \"" + field + "\""
            : "has no list under \"" + field + "\"" + instead(row, field));
  }

  private static List<Message> messages(Document row, String field, @Nullable Object value) {
    List<Message> messages = new ArrayList<>();
    for (Object one : list(row, field, value)) {
      messages.add(message(row, "%s[%d]".formatted(field, messages.size()), one));
    }
    return messages;
  }

  private static Message message(Document row, String place, @Nullable Object value) {
    if (!(value instanceof Map<?, ?> fields)) {
      throw wrong(row, "has no object in " + place + ", but " + JsonObject.brief(value));
    }
    if (!(fields.get("role") instanceof String role)) {
      throw wrong(
          row,
          "has no text under \"role\" in %s; it has %s"
              .formatted(place, JsonObject.brief(new ArrayList<>(fields.keySet()))));
    }
    SequencedMap<String, @Nullable Object> more = new LinkedHashMap<>();
    fields.forEach(
        (name, field) -> {
          if (!name.equals("role") && !name.equals("content")) {
            more.put(String.valueOf(name), name.equals("tool_calls") ? calls(field) : field);
          }
        });
    boolean mayBeSilent = more.get("tool_calls") != null || more.get("function_call") != null;
    if (fields.get("content") == null && !mayBeSilent) {
      throw wrong(
          row,
          "has no \"content\" in %s; it has %s"
              .formatted(place, JsonObject.brief(new ArrayList<>(fields.keySet()))));
    }
    return new Message(role, content(row, place, fields.get("content")), more);
  }

  /** Text, or parts that are text. */
  private static String content(Document row, String place, @Nullable Object content) {
    return switch (content) {
      case null -> "";
      case String text -> text;
      case List<?> parts -> {
        StringBuilder whole = new StringBuilder();
        for (Object part : parts) {
          if (part instanceof String text) {
            whole.append(text);
          } else if (part instanceof Map<?, ?> fields
              && fields.get("text") instanceof String text) {
            whole.append(text);
          } else {
            Object type = part instanceof Map<?, ?> fields ? fields.get("type") : null;
            throw wrong(
                row,
                "has a part of the kind %s in %s: only text is read"
                    .formatted(JsonObject.brief(type == null ? part : type), place));
          }
        }
        yield whole.toString();
      }
      default ->
          throw wrong(
              row, "has no text as \"content\" in " + place + ", but " + JsonObject.brief(content));
    };
  }

  /** Arguments that are JSON in a text become what they say: so templates expect them. */
  private static @Nullable Object calls(@Nullable Object calls) {
    if (!(calls instanceof List<?> list)) {
      return calls;
    }
    List<@Nullable Object> read = new ArrayList<>();
    for (Object call : list) {
      if (call instanceof Map<?, ?> fields
          && fields.get("function") instanceof Map<?, ?> function) {
        Map<Object, @Nullable Object> inner = new LinkedHashMap<>(function);
        inner.computeIfPresent("arguments", (key, arguments) -> parsed(arguments));
        Map<Object, @Nullable Object> outer = new LinkedHashMap<>(fields);
        outer.put("function", inner);
        read.add(outer);
      } else {
        read.add(call);
      }
    }
    return read;
  }

  private static @Nullable Object parsed(@Nullable Object value) {
    if (!(value instanceof String text)
        || text.isBlank()
        || "{[".indexOf(text.strip().charAt(0)) < 0) {
      return value;
    }
    byte[] utf8 = text.getBytes(StandardCharsets.UTF_8);
    try {
      return Json.parseValue(Path.of("row"), "", utf8, 0, utf8.length, JsonRules.LINE);
    } catch (FileFormatException e) {
      return value; // it is text then
    }
  }

  private static @Nullable List<?> tools(Document row) {
    Object tools = parsed(row.fields().get("tools"));
    if (tools == null || tools instanceof String text && text.isBlank()) {
      return null;
    }
    if (tools instanceof List<?> list) {
      return list.isEmpty() ? null : list.stream().filter(Objects::nonNull).toList();
    }
    throw wrong(row, "has no list under \"tools\", but " + JsonObject.brief(tools));
  }

  private static List<Message> turns(Document row) {
    List<Message> messages = new ArrayList<>();
    if (row.fields().get("system") instanceof String system && !system.isEmpty()) {
      messages.add(Message.system(system));
    }
    int number = 0;
    for (Object one : list(row, "conversations", row.fields().get("conversations"))) {
      String place = "conversations[%d]".formatted(number++);
      if (!(one instanceof Map<?, ?> turn
          && turn.get("from") instanceof String from
          && turn.get("value") instanceof String value)) {
        throw wrong(
            row,
            "has no text under \"from\" and \"value\" in %s, but %s"
                .formatted(place, JsonObject.brief(one)));
      }
      String role = SHAREGPT_ROLES.get(from);
      if (role == null) {
        throw wrong(
            row,
            "has \"from\": %s in %s, which is none of human, gpt, system and tool"
                .formatted(JsonObject.brief(from), place));
      }
      messages.add(new Message(role, value));
    }
    return messages;
  }

  private static List<Message> instruction(Document row) {
    String answer = text(row, row.fields().containsKey("output") ? "output" : "response");
    String input = optional(row, row.fields().containsKey("input") ? "input" : "context");
    List<Message> messages = new ArrayList<>();
    String system = optional(row, "system");
    if (!system.isEmpty()) {
      messages.add(Message.system(system));
    }
    if (row.fields().get("history") instanceof List<?> history) {
      for (Object turn : history) {
        if (turn instanceof List<?> pair
            && pair.size() == 2
            && pair.get(0) instanceof String asked
            && pair.get(1) instanceof String said) {
          messages.add(Message.user(asked));
          messages.add(Message.assistant(said));
        } else {
          throw wrong(row, "has no pair of texts in \"history\", but " + JsonObject.brief(turn));
        }
      }
    }
    messages.add(question(text(row, "instruction"), input));
    messages.add(Message.assistant(answer));
    return messages;
  }

  /**
   * What is asked: instruction and input with an empty line between them, and each for itself for
   * the template that writes them so.
   */
  static Message question(String instruction, String input) {
    SequencedMap<String, @Nullable Object> more = new LinkedHashMap<>();
    more.put("instruction", instruction);
    more.put("input", input);
    return new Message(
        Message.USER, input.isEmpty() ? instruction : instruction + "\n\n" + input, more);
  }

  /** A prompt, text or messages, and an answer to it, text or messages. */
  private Sample answer(Document row, @Nullable Object prompt, String field) {
    Object answer = row.fields().get(field);
    if (answer instanceof String said && prompt instanceof String asked && !textIsChat) {
      return new Sample.Plain(asked, said);
    }
    List<Message> messages = new ArrayList<>();
    if (prompt instanceof String asked) {
      messages.add(Message.user(asked));
    } else if (prompt != null || !(answer instanceof List<?>)) {
      messages.addAll(messages(row, "prompt", prompt));
    }
    if (answer instanceof String said) {
      messages.add(Message.assistant(said));
    } else {
      List<Message> said = messages(row, field, answer);
      // Some data sets write the prompt once more before the answer.
      boolean again = said.size() > messages.size() && sameBeginning(said, messages);
      messages.addAll(again ? said.subList(messages.size(), said.size()) : said);
    }
    return new Sample.Talk(new Conversation(messages));
  }

  private static boolean sameBeginning(List<Message> longer, List<Message> shorter) {
    for (int i = 0; i < shorter.size(); i++) {
      boolean same =
          longer.get(i).role().equals(shorter.get(i).role())
              && longer.get(i).content().equals(shorter.get(i).content());
      if (!same) {
        return false;
      }
    }
    return true;
  }
}
