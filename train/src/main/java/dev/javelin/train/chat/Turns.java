package dev.javelin.train.chat;

import dev.javelin.train.chat.jinja.Budget;
import dev.javelin.train.chat.jinja.Text;
import dev.javelin.train.data.InputException;
import dev.javelin.train.tokenizer.Tokenizer;
import java.util.ArrayList;
import java.util.BitSet;
import java.util.List;
import java.util.Set;

/** Finds the assistant's turns in a rendered conversation. */
final class Turns {
  private final ChatTemplate template;
  private final Conversation conversation;
  private final Set<String> specials;
  private final Text whole;
  private final String text;
  private final BitSet data;
  private final Budget budget;

  Turns(
      ChatTemplate template,
      Conversation conversation,
      Tokenizer tokenizer,
      Text whole,
      Budget budget) {
    this.template = template;
    this.conversation = conversation;
    this.specials = tokenizer.specialTokens().keySet();
    this.whole = whole;
    this.text = whole.toString();
    this.data = whole.marked(Text.DATA);
    this.budget = budget;
  }

  /** Characters [from, to) of the text. */
  record Span(int from, int to) {}

  /** What is learned, in order. */
  List<Span> learned(boolean lastOnly) {
    List<Integer> assistants = new ArrayList<>();
    for (int i = 0; i < conversation.messages().size(); i++) {
      if (conversation.messages().get(i).role().equals(Message.ASSISTANT)) {
        assistants.add(i);
      }
    }
    if (assistants.isEmpty()) {
      throw new InputException(
          "nothing in it is said by the assistant, so nothing would be learned: remove it, or set --train-on-prompt");
    }
    List<Span> spans =
        template.marksGeneration(conversation)
            ? marked()
            : found(lastOnly ? List.of(assistants.getLast()) : assistants);
    if (spans.isEmpty()) {
      throw new InputException(
          "the chat template %s writes nothing into its generation blocks: repair it, or choose another with --template"
              .formatted(template.name()));
    }
    return lastOnly ? List.of(spans.getLast()) : spans;
  }

  private List<Span> marked() {
    BitSet generated = whole.marked(Text.GENERATED);
    List<Span> spans = new ArrayList<>();
    for (int from = generated.nextSetBit(0); from >= 0; ) {
      int to = generated.nextClearBit(from);
      spans.add(new Span(from, to));
      from = generated.nextSetBit(to);
    }
    return spans;
  }

  private List<Span> found(List<Integer> assistants) {
    List<Span> spans = new ArrayList<>();
    for (int message : assistants) {
      spans.add(turn(message));
    }
    return spans;
  }

  /** From the end of the generation prompt to the end of the turn. */
  private Span turn(int message) {
    List<Message> messages = conversation.messages();
    String before = rendered(messages.subList(0, message), true);
    if (!text.startsWith(before)) {
      throw broken(message, "writes what stands before it");
    }
    int from = before.length();
    int end = text.length();
    if (message + 1 < messages.size()) {
      Text upTo = template.render(messages.subList(0, message + 1), conversation, false, budget);
      end = common(upTo.toString());
      // What a template writes at the end of a conversation alone may go, what was said may not.
      if (end < from || upTo.marked(Text.DATA).nextSetBit(end) >= 0) {
        throw broken(message, "writes it");
      }
    }
    return new Span(from, endOfTurn(from, end));
  }

  private String rendered(List<Message> messages, boolean addGenerationPrompt) {
    return template.render(messages, conversation, addGenerationPrompt, budget).toString();
  }

  /** How far the text agrees with another, up to a special token that only begins to. */
  private int common(String other) {
    int same = 0;
    int least = Math.min(text.length(), other.length());
    while (same < least && text.charAt(same) == other.charAt(same)) {
      same++;
    }
    if (same == other.length() || same == text.length()) {
      return same;
    }
    int cut = same;
    for (String special : specials) {
      for (int inside = 1; inside < special.length() && inside <= same; inside++) {
        int start = same - inside;
        if (text.startsWith(special, start) || other.startsWith(special, start)) {
          cut = Math.min(cut, start);
        }
      }
    }
    return cut;
  }

  /** Without white space that the template writes behind the token that ends the turn. */
  private int endOfTurn(int from, int to) {
    int end = to;
    while (end > from && Character.isWhitespace(text.charAt(end - 1)) && !data.get(end - 1)) {
      end--;
    }
    for (String special : specials) {
      int start = end - special.length();
      if (start >= from && text.startsWith(special, start)) {
        return end;
      }
    }
    return to;
  }

  private InputException broken(int message, String what) {
    return new InputException(
        "the chat template %s %s otherwise when more follows, so what the assistant says in message %d cannot be found: set --mask-history to learn the last turn alone, or choose another with --template"
            .formatted(template.name(), what, message + 1));
  }
}
