package dev.javelin.train.chat;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.javelin.tensor.io.FileFormatException;
import dev.javelin.train.data.InputException;
import dev.javelin.train.data.TokenSource;
import dev.javelin.train.tokenizer.ByteTokenizer;
import dev.javelin.train.tokenizer.SharedFiles;
import dev.javelin.train.tokenizer.Tokenizer;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.Objects;
import java.util.concurrent.ForkJoinPool;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class ChatDataTest {
  private static final Tokenizer BYTES = new ByteTokenizer("</s>", "<|im_start|>", "<|im_end|>");

  @TempDir private Path directory;

  private Path file(String name, String... lines) throws IOException {
    return Files.writeString(directory.resolve(name), String.join("\n", lines) + "\n");
  }

  private static ChatOptions options(@Nullable String template) {
    return new ChatOptions(null, template, LearnedTurns.ASSISTANT, false, "text");
  }

  private static ChatData chats(ChatOptions options, Path... files) {
    return Objects.requireNonNull(ChatData.find(List.of(files), options));
  }

  /** An example with what is learned in brackets. */
  private static String shown(TokenSource source, long example) {
    int count = (int) (source.exampleStart(example + 1) - source.exampleStart(example));
    int[] ids = new int[count];
    boolean[] learned = new boolean[count];
    source.read(source.exampleStart(example), ids, count);
    source.readLearned(source.exampleStart(example), learned, count);
    StringBuilder text = new StringBuilder();
    int from = 0;
    for (int i = 1; i <= count; i++) {
      if (i == count || learned[i] != learned[from]) {
        String part = BYTES.decode(Arrays.copyOfRange(ids, from, i));
        text.append(learned[from] ? "[" + part + "]" : part);
        from = i;
      }
    }
    return text.toString();
  }

  private String only(ChatOptions options, Path file) {
    TokenSource source = chats(options, file).read(BYTES).source();
    assertThat(source.examples()).isEqualTo(1);
    return shown(source, 0);
  }

  private static final String TALK =
      "<|im_start|>user\nq<|im_end|>\n<|im_start|>assistant\n[a<|im_end|>]\n";

  @Test
  void everyFormatIsRecognisedByItsRows() throws IOException {
    ChatOptions chatml = options("chatml");
    Path messages =
        file(
            "m.jsonl",
            "{\"messages\":[{\"role\":\"user\",\"content\":\"q\"},{\"role\":\"assistant\",\"content\":\"a\"}]}");
    Path parts =
        file(
            "parts.jsonl",
            "{\"messages\":[{\"role\":\"user\",\"content\":[{\"type\":\"text\",\"text\":\"q\"}]},{\"role\":\"assistant\",\"content\":\"a\"}]}");
    Path shareGpt =
        file(
            "s.jsonl",
            "{\"id\":\"1\",\"conversations\":[{\"from\":\"human\",\"value\":\"q\"},{\"from\":\"gpt\",\"value\":\"a\"}]}");
    Path alpaca = file("a.jsonl", "{\"instruction\":\"q\",\"input\":\"\",\"output\":\"a\"}");
    Path table = file("a.csv", "instruction,output", "q,a");
    Path completion = file("p.jsonl", "{\"prompt\":\"q\",\"completion\":\"a\"}");
    for (Path file : List.of(messages, parts, shareGpt, alpaca, table, completion)) {
      assertThat(only(chatml, file)).as(file.toString()).isEqualTo(TALK);
    }
    assertThat(only(options(null), completion)).isEqualTo("q[a</s>]");
    assertThat(only(options(null), alpaca))
        .endsWith("### Instruction:\nq\n\n### Response:\n[a</s>]");
    ChatData.Read read = chats(chatml, shareGpt).read(BYTES);
    assertThat(read.notes())
        .anyMatch(note -> note.contains("1 examples (sharegpt), chat template chatml"));
    assertThat(ChatData.find(List.of(file("t.jsonl", "{\"text\":\"x\"}")), chatml)).isNull();
    assertThat(ChatData.find(List.of(file("t.txt", "x")), chatml)).isNull();
  }

  @Test
  void preferencesAreTwoExamplesOfOnePrompt() throws IOException {
    Path texts = file("d.jsonl", "{\"prompt\":\"q\",\"chosen\":\"a\",\"rejected\":\"b\"}");
    Path lists =
        file(
            "l.jsonl",
            "{\"prompt\":\"q\",\"chosen\":[{\"role\":\"user\",\"content\":\"q\"},{\"role\":\"assistant\",\"content\":\"a\"}],\"rejected\":[{\"role\":\"assistant\",\"content\":\"b\"}]}",
            "{\"chosen\":[{\"role\":\"user\",\"content\":\"q\"},{\"role\":\"assistant\",\"content\":\"a\"}],\"rejected\":[{\"role\":\"user\",\"content\":\"q\"},{\"role\":\"assistant\",\"content\":\"b\"}]}");
    ChatData.Pairs plain = chats(options(null), texts).readPairs(BYTES);
    assertThat(shown(plain.chosen(), 0)).isEqualTo("q[a</s>]");
    assertThat(shown(plain.rejected(), 0)).isEqualTo("q[b</s>]");
    ChatData.Pairs pairs = chats(options("chatml"), lists).readPairs(BYTES);
    for (int i = 0; i < 2; i++) {
      assertThat(shown(pairs.chosen(), i)).isEqualTo(TALK);
      assertThat(shown(pairs.rejected(), i)).isEqualTo(TALK.replace("[a", "[b"));
    }
    assertThatThrownBy(() -> chats(options(null), texts).read(BYTES))
        .isInstanceOf(InputException.class)
        .hasMessageContaining("--objective");
  }

  @Test
  void callsOfToolsAreKeptAsTextWhereATemplateKnowsNone() throws IOException {
    Path file =
        file(
            "tools.jsonl",
            "{\"messages\":[{\"role\":\"user\",\"content\":\"q\"},{\"role\":\"assistant\",\"content\":null,\"tool_calls\":[{\"type\":\"function\",\"function\":{\"name\":\"f\",\"arguments\":\"{\\\"x\\\": 1}\"}}]},{\"role\":\"tool\",\"content\":\"2\"},{\"role\":\"assistant\",\"content\":\"a\"}]}");
    assertThat(only(options("chatml"), file))
        .contains("assistant\n[{\"name\":\"f\",\"arguments\":{\"x\":1}}<|im_end|>]\n")
        .contains("<|im_start|>tool\n2<|im_end|>\n");
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      value = {
        "{\"messages\":[{\"role\":\"user\"}]} | no \"content\" in messages[0]",
        "{\"messages\":[{\"content\":\"x\"}]} | no text under \"role\" in messages[0]",
        "{\"messages\":[]} | an empty list under \"messages\"",
        "{\"messages\":[3]} | no object in messages[0], but 3",
        "{\"messages\":[{\"role\":\"user\",\"content\":[{\"type\":\"image_url\"}]}]} | a part of the kind \"image_url\"",
        "{\"messages\":[{\"role\":\"user\",\"content\":\"x\"}]} | nothing in it is said by the assistant",
        "{\"other\":1} | no list under \"conversations\"",
      })
  void aBrokenRowNamesFileLineAndWhatIsMissing(String row, String what) throws IOException {
    String good =
        "{\"messages\":[{\"role\":\"user\",\"content\":\"q\"},{\"role\":\"assistant\",\"content\":\"a\"}]}";
    Path file = file("chats.jsonl", good, good, row, good);
    assertThatThrownBy(() -> chats(options("chatml"), file).read(BYTES))
        .isInstanceOfAny(FileFormatException.class, InputException.class)
        .hasMessageContaining("chats.jsonl")
        .hasMessageContaining("line 3")
        .hasMessageContaining(what.strip());
    ChatOptions skipping = new ChatOptions(null, "chatml", LearnedTurns.ASSISTANT, true, "text");
    ChatData.Read read = chats(skipping, file).read(BYTES);
    assertThat(read.source().examples()).isEqualTo(3);
    assertThat(read.source().exampleName(2)).endsWith("chats.jsonl line 4");
    assertThat(read.notes())
        .anyMatch(note -> note.startsWith("1 bad row is passed over, the first: "));
  }

  @Test
  void aLineThatIsNoJsonIsPassedOverToo() throws IOException {
    String good = "{\"prompt\":\"q\",\"completion\":\"a\"}";
    Path file = file("p.jsonl", "{", good, "[1]", good, "{\"prompt\":");
    ChatOptions skipping = new ChatOptions(null, null, LearnedTurns.ASSISTANT, true, "text");
    ChatData.Read read = chats(skipping, file).read(BYTES);
    assertThat(read.source().examples()).isEqualTo(2);
    assertThat(read.notes()).anyMatch(note -> note.startsWith("3 bad rows are passed over"));
    assertThatThrownBy(() -> chats(options(null), file).read(BYTES))
        .isInstanceOf(FileFormatException.class)
        .hasMessageContaining("line 1");
    Path bad = file("b.jsonl", "{\"prompt\":1,\"completion\":\"a\"}");
    assertThatThrownBy(() -> chats(skipping, bad).read(BYTES))
        .isInstanceOf(InputException.class)
        .hasMessageContaining("holds no example");
  }

  @Test
  void dataThatFitNothingAreRefusedWithTheirFields() throws IOException {
    Path unknown = file("u.jsonl", "{\"question\":\"q\",\"reply\":\"a\"}");
    assertThatThrownBy(() -> ChatData.find(List.of(unknown), options(null)))
        .isInstanceOf(FileFormatException.class)
        .hasMessageContaining("question")
        .hasMessageContaining("--column");
    Path text = file("t.jsonl", "{\"text\":\"x\"}");
    Path chat = file("c.jsonl", "{\"prompt\":\"q\",\"completion\":\"a\"}");
    assertThatThrownBy(() -> ChatData.find(List.of(text, chat), options(null)))
        .isInstanceOf(InputException.class)
        .hasMessageContaining("--format");
    Path messages =
        file(
            "m.jsonl",
            "{\"messages\":[{\"role\":\"user\",\"content\":\"q\"},{\"role\":\"assistant\",\"content\":\"a\"}]}");
    assertThatThrownBy(() -> chats(options(null), messages).read(BYTES))
        .isInstanceOf(InputException.class)
        .hasMessageContaining("--template chatml, llama2");
    assertThatThrownBy(() -> chats(options("nope"), messages).read(BYTES))
        .isInstanceOf(InputException.class)
        .hasMessageContaining("--template nope");
  }

  @Test
  void theExamplesAreTheSameForAnyNumberOfThreads() throws Exception {
    Path file = SharedFiles.data("chat_messages.jsonl");
    TokenSource all = chats(options("chatml"), file).read(BYTES).source();
    assertThat(all.examples()).isEqualTo(213);
    assertThat(all.exampleName(6)).endsWith("chat_messages.jsonl line 7");
    TokenSource other;
    try (ForkJoinPool one = new ForkJoinPool(1)) {
      other = one.submit(() -> chats(options("chatml"), file).read(BYTES).source()).get();
    }
    assertThat(other.size()).isEqualTo(all.size());
    for (int i = 0; i < all.examples(); i++) {
      assertThat(shown(other, i)).isEqualTo(shown(all, i));
      assertThat(shown(all, i)).contains("assistant\n[").endsWith("<|im_end|>]\n");
    }
  }

  @Test
  void aTemplateTravelsWithTheModel() throws IOException {
    Path model = directory.resolve("model");
    dev.javelin.train.data.Prepare.save(BYTES, model);
    Files.createDirectories(model.resolve("additional_chat_templates"));
    Files.writeString(model.resolve("chat_template.jsonl"), "");
    Files.writeString(model.resolve("chat_template.jinja"), "{{ messages[0].content }}");
    Files.writeString(model.resolve("additional_chat_templates/tool_use.jinja"), "tools!");
    Tokenizer loaded = Tokenizer.load(model);
    Path again = directory.resolve("again");
    dev.javelin.train.data.Prepare.save(loaded, again);
    ChatTemplate template = Objects.requireNonNull(TemplateFiles.of(Tokenizer.load(again)));
    Conversation chat = Conversation.of(Message.user("hello"));
    assertThat(template.render(chat, true)).isEqualTo("hello");
    assertThat(template.render(new Conversation(chat.messages(), List.of("t")), true))
        .isEqualTo("tools!");
    assertThat(TemplateFiles.named("tool_use", loaded).render(chat, true)).isEqualTo("tools!");
  }

  @Test
  void aListOfTemplatesHasADefault() throws IOException {
    Path model = directory.resolve("model");
    dev.javelin.train.data.Prepare.save(BYTES, model);
    Files.writeString(
        model.resolve("tokenizer_config.json"),
        "{\"eos_token\": {\"content\": \"</s>\"}, \"chat_template\": [{\"name\": \"rag\", \"template\": \"r\"}, {\"name\": \"default\", \"template\": \"d{{ eos_token }}\"}]}");
    Conversation chat = Conversation.of(Message.user("hello"));
    ChatTemplate template = Objects.requireNonNull(TemplateFiles.of(Tokenizer.load(model)));
    assertThat(template.render(chat, true)).isEqualTo("d</s>");
    Files.writeString(
        model.resolve("tokenizer_config.json"),
        "{\"chat_template\": [{\"name\": \"rag\", \"template\": \"r\"}]}");
    assertThatThrownBy(() -> TemplateFiles.of(Tokenizer.load(model)))
        .isInstanceOf(InputException.class)
        .hasMessageContaining("rag");
  }
}
