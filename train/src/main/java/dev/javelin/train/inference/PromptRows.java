package dev.javelin.train.inference;

import dev.javelin.tensor.io.FileFormatException;
import dev.javelin.tensor.io.Json;
import dev.javelin.tensor.io.JsonObject;
import dev.javelin.tensor.io.JsonRules;
import dev.javelin.train.chat.Conversation;
import dev.javelin.train.chat.Message;
import java.nio.ByteBuffer;
import java.nio.charset.CharacterCodingException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Locale;
import java.util.SequencedMap;
import java.util.SequencedSet;
import java.util.Set;
import org.jspecify.annotations.Nullable;

/**
 * Reads prompts, all before the first is answered. Plain text holds one in each line that is not
 * empty. JSONL holds an object a line, with {@code prompt} (a text) or {@code messages} (of {@code
 * role} and {@code content}), and perhaps options of its own: {@code max_new_tokens}, {@code
 * temperature}, {@code top_k}, {@code top_p}, {@code min_p}, {@code repetition_penalty}, {@code
 * stop} (a text or a list of texts) and {@code seed}. Other keys come back with the reply.
 *
 * <p>A row without a seed of its own has the given one plus its number, from 0, so that equal
 * prompts get different texts.
 */
public final class PromptRows {
  static final String PROMPT = "prompt";
  private static final String MESSAGES = "messages";
  private static final String ROLE = "role";
  private static final String CONTENT = "content";
  private static final String STOP = "stop";
  private static final String SEED = "seed";
  private static final Set<String> OPTIONS =
      Set.of(
          "max_new_tokens",
          "temperature",
          "top_k",
          "top_p",
          "min_p",
          "repetition_penalty",
          STOP,
          SEED);
  private static final Set<String> WRITTEN =
      Set.of(PromptRow.REPLY, PromptRow.FINISH, PromptRow.NEW_TOKENS, PromptRow.FORGOTTEN);

  private PromptRows() {}

  /** The prompts themselves. */
  public static List<PromptRow> of(List<String> prompts, Request options) {
    List<PromptRow> rows = new ArrayList<>();
    for (String prompt : prompts) {
      String place = prompts.size() == 1 ? "the prompt" : "prompt " + (rows.size() + 1);
      rows.add(PromptRow.plain(place, prompt, seeded(options, rows.size())));
    }
    return rows;
  }

  /**
   * The rows of a file's content: JSONL where it begins with <code>{</code>, otherwise plain lines.
   *
   * @param file for messages
   * @throws FileFormatException where a row is not as it must be
   */
  public static List<PromptRow> read(Path file, byte[] utf8, Request options) {
    String text = text(file, utf8);
    List<PromptRow> rows = new ArrayList<>();
    boolean json = isJson(utf8);
    int number = 0;
    for (String line : (Iterable<String>) text.lines()::iterator) {
      number++;
      if (!line.isBlank()) {
        Request mine = seeded(options, rows.size());
        String place = "line " + number;
        rows.add(
            json
                ? json(file, place, line, mine)
                : PromptRow.plain(file + ": " + place, line, mine));
      }
    }
    if (rows.isEmpty()) {
      throw new FileFormatException(
          file, "holds no prompt", "write one in each line, or a JSON object with a prompt");
    }
    return rows;
  }

  /** Whether a file's content is read as JSONL. */
  public static boolean isJson(byte[] utf8) {
    int at = utf8.length >= 3 && utf8[0] == (byte) 0xEF && utf8[1] == (byte) 0xBB ? 3 : 0;
    while (at < utf8.length && " \t\r\n".indexOf(utf8[at]) >= 0) {
      at++;
    }
    return at < utf8.length && utf8[at] == '{';
  }

  /** Keys that are neither prompt nor option, of all rows. */
  public static SequencedSet<String> otherKeys(List<PromptRow> rows) {
    SequencedSet<String> keys = new LinkedHashSet<>();
    rows.forEach(row -> keys.addAll(row.fields().keySet()));
    keys.removeAll(OPTIONS);
    keys.removeAll(Set.of(PROMPT, MESSAGES));
    return keys;
  }

  private static Request seeded(Request options, int row) {
    return options.sampler(options.sampler().withSeed(options.sampler().seed() + row));
  }

  private static String text(Path file, byte[] utf8) {
    try {
      String text = StandardCharsets.UTF_8.newDecoder().decode(ByteBuffer.wrap(utf8)).toString();
      return text.startsWith("\uFEFF") ? text.substring(1) : text;
    } catch (CharacterCodingException e) {
      throw new FileFormatException(file, "is not UTF-8 text", "convert it with iconv", e);
    }
  }

  private static PromptRow json(Path file, String place, String line, Request options) {
    byte[] utf8 = line.getBytes(StandardCharsets.UTF_8);
    SequencedMap<String, @Nullable Object> fields =
        Json.parse(file, place, utf8, 0, utf8.length, JsonRules.LINE).members();
    JsonObject row = new JsonObject(file, place + ": ", fields);
    for (String key : WRITTEN) {
      if (fields.containsKey(key)) {
        throw new FileFormatException(
            file, place + ": the key " + key + " is what a reply is written to", "rename it");
      }
    }
    if (row.has(PROMPT) == row.has(MESSAGES)) {
      throw new FileFormatException(
          file,
          place + (row.has(PROMPT) ? ": has both prompt and messages" : ": has no prompt"),
          "give each row prompt, a text, or messages, a list");
    }
    Conversation conversation = row.has(MESSAGES) ? conversation(row) : null;
    try {
      Request request = options(row, options);
      return new PromptRow(
          file + ": " + place,
          fields,
          conversation,
          row.has(PROMPT) ? request.prompt(row.text(PROMPT)) : request);
    } catch (IllegalArgumentException e) { // of a flag: --top-k must be …
      String message = String.valueOf(e.getMessage());
      String flag = message.replaceFirst(" .*", "");
      String key = flag.replaceFirst("^--", "").replace('-', '_');
      throw new FileFormatException(
          file, place + ": " + key + message.substring(flag.length()), "correct the row", e);
    }
  }

  private static Conversation conversation(JsonObject row) {
    List<Message> messages = new ArrayList<>();
    for (JsonObject message : row.objects(MESSAGES)) {
      SequencedMap<String, @Nullable Object> more = new LinkedHashMap<>(message.members());
      more.remove(ROLE);
      more.remove(CONTENT);
      messages.add(
          new Message(
              message.text(ROLE).toLowerCase(Locale.ROOT), message.text(CONTENT, ""), more));
    }
    if (messages.isEmpty()) {
      throw row.error(MESSAGES, "must hold at least one message");
    }
    return new Conversation(messages);
  }

  private static Request options(JsonObject row, Request given) {
    Sampler s = given.sampler();
    Sampler sampler =
        new Sampler(
            row.number("temperature", s.temperature()),
            row.integer("top_k", Integer.MIN_VALUE, Integer.MAX_VALUE, s.topK()),
            row.number("top_p", s.topP()),
            row.number("min_p", s.minP()),
            seed(row, s.seed()));
    return given
        .maxNewTokens(
            row.integer(
                "max_new_tokens", Integer.MIN_VALUE, Integer.MAX_VALUE, given.maxNewTokens()))
        .sampler(sampler)
        .repetitionPenalty(row.number("repetition_penalty", given.repetitionPenalty()))
        .stop(stop(row, given.stop()).toArray(String[]::new));
  }

  private static long seed(JsonObject row, long absent) {
    return switch (row.members().get(SEED)) {
      case null -> absent;
      case Long seed -> seed;
      case Object other ->
          throw row.error(SEED, "must be an integer, got " + JsonObject.brief(other));
    };
  }

  private static List<String> stop(JsonObject row, List<String> absent) {
    return switch (row.members().get(STOP)) {
      case null -> absent;
      case String one -> List.of(one);
      case List<?> several when several.stream().allMatch(String.class::isInstance) ->
          several.stream().map(String.class::cast).toList();
      case Object other ->
          throw row.error(
              STOP, "must be a text or a list of texts, got " + JsonObject.brief(other));
    };
  }
}
