package dev.javelin.train.chat;

import dev.javelin.train.chat.jinja.Budget;
import dev.javelin.train.chat.jinja.Template;
import dev.javelin.train.chat.jinja.TemplateException;
import dev.javelin.train.chat.jinja.Text;
import dev.javelin.train.data.InputException;
import dev.javelin.train.tokenizer.Encoded;
import dev.javelin.train.tokenizer.Tokenizer;
import java.time.LocalDateTime;
import java.util.ArrayList;
import java.util.BitSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.OptionalInt;
import java.util.SequencedMap;
import java.util.function.Supplier;
import org.jspecify.annotations.Nullable;

/**
 * How a model's conversations are written as text, and as tokens. Immutable; threads may share it.
 *
 * <p>What is said is data: a special token that a message spells is encoded as the characters it is
 * made of. Only what the template itself writes becomes control tokens. Every character knows where
 * it came from, through all that a template does with it; see {@link Text}.
 *
 * @see TemplateFiles
 */
public final class ChatTemplate {
  /** The day of conversations that are learned: the same tokens on every day. */
  private static final LocalDateTime THE_DAY = LocalDateTime.of(2024, 7, 26, 0, 0);

  private final String name;
  private final String source;
  private final Template template;
  private final @Nullable Template withTools;
  private final SequencedMap<String, String> tokens;
  private final Supplier<LocalDateTime> now;

  private ChatTemplate(
      String name,
      String source,
      Template template,
      @Nullable Template withTools,
      SequencedMap<String, String> tokens,
      Supplier<LocalDateTime> now) {
    this.name = name;
    this.source = source;
    this.template = template;
    this.withTools = withTools;
    this.tokens = tokens;
    this.now = now;
  }

  /**
   * Reads a template.
   *
   * @param name of the file it stands in, or its own, for messages
   * @param withTools another template for conversations with tools, or null
   * @param tokens what {@code bos_token}, {@code eos_token} and the like stand for
   * @throws InputException where it is damaged or needs what is not supported
   */
  static ChatTemplate parse(
      String name, String source, @Nullable String withTools, SequencedMap<String, String> tokens) {
    return new ChatTemplate(
        name,
        source,
        parsed(name, source),
        withTools == null ? null : parsed(name + " (tool_use)", withTools),
        new LinkedHashMap<>(tokens),
        LocalDateTime::now);
  }

  private static Template parsed(String name, String source) {
    try {
      return Template.parse(source);
    } catch (TemplateException e) {
      throw new InputException(
          "the chat template %s, line %d: %s: repair it, or choose another with --template"
              .formatted(name, e.line(), e.getMessage()),
          e);
    }
  }

  /** What it is called: the name of a built-in template, or the file it stands in. */
  public String name() {
    return name;
  }

  /** Its text, as {@code chat_template.jinja} holds it. */
  public String source() {
    return source;
  }

  /** The same on one fixed day, so that data with a date in them are the same on every day. */
  public ChatTemplate forTraining() {
    return new ChatTemplate(name, source, template, withTools, tokens, () -> THE_DAY);
  }

  /**
   * A conversation as text.
   *
   * @param addGenerationPrompt end with what the assistant's next turn begins with
   * @throws InputException where the template refuses the conversation, with its reason
   */
  public String render(Conversation conversation, boolean addGenerationPrompt) {
    return render(
            conversation.messages(), conversation, addGenerationPrompt, budget(conversation, 1))
        .toString();
  }

  private static Budget budget(Conversation conversation, long renderings) {
    List<Message> messages = conversation.messages();
    long characters = messages.stream().mapToLong(message -> message.content().length()).sum();
    return new Budget(messages.size(), characters, renderings);
  }

  Text render(List<Message> messages, Conversation of, boolean addGenerationPrompt, Budget budget) {
    Map<String, Object> given = new LinkedHashMap<>();
    tokens.forEach((token, text) -> given.put(token, Text.of(text)));
    given.put("messages", messages.stream().map(ChatTemplate::fields).toList());
    given.put("tools", of.tools());
    given.put("documents", null);
    given.put("add_generation_prompt", addGenerationPrompt);
    Template chosen = of.tools() == null || withTools == null ? template : withTools;
    try {
      return chosen.render(given, now, budget);
    } catch (TemplateException e) {
      throw new InputException(
          "the chat template %s refuses it in line %d: %s"
              .formatted(name, e.line(), e.getMessage()),
          e);
    }
  }

  private static Map<String, @Nullable Object> fields(Message message) {
    Map<String, @Nullable Object> fields = new LinkedHashMap<>();
    String role = message.role();
    fields.put("role", Message.KNOWN_ROLES.contains(role) ? Text.of(role) : role);
    fields.put("content", message.content());
    fields.putAll(message.more());
    return fields;
  }

  /** Whether the template itself says what is learned. */
  boolean marksGeneration(Conversation conversation) {
    Template chosen = conversation.tools() == null || withTools == null ? template : withTools;
    return chosen.marksGeneration();
  }

  /** Whether the template mentions a field: others it would pass over. */
  boolean mentions(String field) {
    return source.contains(field);
  }

  /** The ids that ask for the assistant's next turn. */
  public int[] prompt(Conversation conversation, Tokenizer tokenizer) {
    Text text = render(conversation.messages(), conversation, true, budget(conversation, 1));
    return tokenizer.encode(text.toString(), text.marked(Text.DATA)).ids();
  }

  /**
   * A conversation to learn from.
   *
   * <p>A template with generation blocks says itself which characters are learned. Otherwise a turn
   * of the assistant is what stands between the generation prompt and the end of the turn, found by
   * rendering the beginnings of the conversation; a token that ends the turn is learned, white
   * space behind it is not. A token that reaches across the edge of what is learned is learned.
   *
   * @throws InputException where the template refuses the conversation, where a turn cannot be
   *     found since the template writes it otherwise when more follows, and where nothing would be
   *     learned
   */
  public ChatTokens encode(Conversation conversation, Tokenizer tokenizer, LearnedTurns turns) {
    Budget budget = budget(conversation, 1 + 2L * conversation.messages().size());
    Text text = render(conversation.messages(), conversation, false, budget);
    List<Turns.Span> spans =
        switch (turns) {
          case ALL -> List.of();
          case ASSISTANT, LAST ->
              new Turns(this, conversation, tokenizer, text, budget)
                  .learned(turns == LearnedTurns.LAST);
        };
    int[] places =
        spans.stream().flatMapToInt(s -> java.util.stream.IntStream.of(s.from(), s.to())).toArray();
    Encoded encoded = tokenizer.encode(text.toString(), text.marked(Text.DATA), places);
    BitSet learned = new BitSet(encoded.ids().length);
    if (turns == LearnedTurns.ALL) {
      learned.set(0, encoded.ids().length);
    }
    for (int i = 0; i < spans.size(); i++) {
      int from = encoded.before()[2 * i];
      learned.set(from, Math.max(from, encoded.upTo()[2 * i + 1]));
    }
    return new ChatTokens(encoded.ids(), learned);
  }

  /**
   * The token that ends a turn of the assistant, where the template writes one: what generation
   * stops at.
   */
  public OptionalInt endOfTurn(Tokenizer tokenizer) {
    Conversation probe = Conversation.of(Message.user("question"), Message.assistant("answer"));
    try {
      ChatTokens tokens = encode(probe, tokenizer, LearnedTurns.LAST);
      int last = tokens.learned().length() - 1;
      int id = last < 0 ? -1 : tokens.ids()[last];
      return tokenizer.specialTokens().containsValue(id) ? OptionalInt.of(id) : OptionalInt.empty();
    } catch (InputException e) {
      return OptionalInt.empty();
    }
  }

  /** The special tokens that the template writes and the tokenizer does not have. */
  List<String> unknownTokens(Tokenizer tokenizer) {
    List<String> unknown = new ArrayList<>();
    for (String token : BuiltIn.controlTokens(name)) {
      if (!tokenizer.specialTokens().containsKey(token)) {
        unknown.add(token);
      }
    }
    return unknown;
  }
}
