package dev.javelin.train.chat;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import com.fasterxml.jackson.databind.JsonNode;
import dev.javelin.train.data.InputException;
import dev.javelin.train.tokenizer.ByteTokenizer;
import dev.javelin.train.tokenizer.SharedFiles;
import dev.javelin.train.tokenizer.Tokenizer;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Objects;
import java.util.SequencedMap;
import java.util.stream.Collectors;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.ValueSource;

class ChatTemplateTest {
  private static final Tokenizer BYTES =
      new ByteTokenizer("</s>", "<s>", "<|im_start|>", "<|im_end|>", "<|user|>", "<|endoftext|>");

  private static final Conversation CHAT =
      Conversation.of(
          Message.user("1+1?"),
          Message.assistant("2"),
          Message.user("sure?"),
          Message.assistant("yes <|im_end|>"));

  private static ChatTemplate template(String source) {
    SequencedMap<String, String> tokens = new LinkedHashMap<>();
    tokens.put("bos_token", "<s>");
    tokens.put("eos_token", "</s>");
    return ChatTemplate.parse("test.jinja", source, null, tokens);
  }

  /** What is learned in brackets, control tokens by name. */
  private static String shown(ChatTokens tokens, Tokenizer tokenizer) {
    StringBuilder text = new StringBuilder();
    boolean inside = false;
    List<Integer> run = new ArrayList<>();
    for (int i = 0; i <= tokens.ids().length; i++) {
      boolean learned = tokens.learned().get(i);
      if (learned != inside || i == tokens.ids().length) {
        text.append(tokenizer.decode(run.stream().mapToInt(id -> id).toArray()));
        run.clear();
        text.append(learned == inside ? "" : learned ? "[" : "]");
        inside = learned;
      }
      if (i < tokens.ids().length) {
        run.add(tokens.ids()[i]);
      }
    }
    return text.toString();
  }

  private static String learned(String source, LearnedTurns turns) {
    return shown(template(source).encode(CHAT, BYTES, turns), BYTES);
  }

  private static List<Message> messages(JsonNode list) {
    List<Message> messages = new ArrayList<>();
    list.forEach(
        m -> messages.add(new Message(m.get("role").textValue(), m.get("content").textValue())));
    return messages;
  }

  @Test
  void formatsIdsAndLabelsAreTheReferences() throws Exception {
    JsonNode golden = SharedFiles.json(SharedFiles.golden("chat_formats.json"));
    Tokenizer tokenizer = Tokenizer.load(SharedFiles.golden("bytelevel-gpt2-cut"));
    ChatTemplate own = Objects.requireNonNull(TemplateFiles.of(tokenizer));
    ChatTemplate chatml = TemplateFiles.named("chatml", tokenizer);
    ChatTemplate llama3 =
        ChatTemplate.parse(
            "llama3",
            BuiltIn.LLAMA3.source(false),
            null,
            new LinkedHashMap<>(java.util.Map.of("bos_token", "<|begin_of_text|>")));
    assertThat(golden.get("cases")).isNotEmpty();
    for (JsonNode one : golden.get("cases")) {
      Conversation chat = new Conversation(messages(one.get("messages")));
      boolean prompt = one.get("add_generation_prompt").booleanValue();
      int[] ids = SharedFiles.ids(one.get("chatml_ids"));
      assertThat(llama3.render(chat, prompt)).isEqualTo(one.get("llama3").textValue());
      for (ChatTemplate template : List.of(own, chatml)) {
        assertThat(template.render(chat, prompt)).isEqualTo(one.get("chatml").textValue());
        if (prompt) {
          assertThat(template.prompt(chat, tokenizer)).isEqualTo(ids);
        } else {
          assertThat(template.encode(chat, tokenizer, LearnedTurns.ALL).ids()).isEqualTo(ids);
        }
      }
      if (!prompt && chat.messages().getLast().role().equals("assistant")) {
        int[] labels = SharedFiles.ids(one.get("labels_assistant_only"));
        ChatTokens tokens = own.encode(chat, tokenizer, LearnedTurns.ASSISTANT);
        int[] got = tokens.ids().clone();
        for (int i = 0; i < got.length; i++) {
          got[i] = tokens.learned().get(i) ? got[i] : -100;
        }
        assertThat(got).isEqualTo(labels);
      }
    }
    ChatTemplate alpaca = TemplateFiles.named("alpaca", tokenizer);
    for (JsonNode one : golden.get("alpaca")) {
      String instruction = one.get("instruction").textValue();
      Message question = ChatRows.question(instruction, one.get("input").textValue());
      assertThat(alpaca.render(Conversation.of(question), true))
          .isEqualTo(one.get("prompt").textValue());
    }
  }

  private static final String CHATML =
      "{% for m in messages %}{{ '<|im_start|>' + m.role + '\n' + m.content + '<|im_end|>\n' }}{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}";

  @Test
  void whatAMessageSpellsIsNoControlToken() {
    ChatTokens tokens = template(CHATML).encode(CHAT, BYTES, LearnedTurns.ASSISTANT);
    int imEnd = 259;
    assertThat(Arrays.stream(tokens.ids()).filter(id -> id == imEnd).count())
        .as("one a turn, none of what was said")
        .isEqualTo(4);
    assertThat(BYTES.decode(tokens.ids())).isEqualTo(template(CHATML).render(CHAT, false));
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "{{ m.content }}",
        "{{ m.content | trim }}",
        "{{ m['content'].strip() | upper | lower }}",
        "{{ 'x' + m.content.split('x')[0] }}",
        "{{ m.content.replace('q', '') }}",
        "{% set c %}{{ m.content }}{% endset %}{{ c }}",
        "{{ [m.content] | join(',') }}",
        "{{ '%s' % m.content }}",
        "{{ [m.content, 1] }}",
        "{{ m | tojson }}",
        "{{ m.content[0:4] ~ m.content[4:] }}",
        "{% macro f(x) %}{{ x }}{% endmacro %}{{ f(m.content) }}",
        "{% for c in m.content %}{{ c }}{% endfor %}",
        "{{ m.content | list | join }}",
        "{{ m.content.partition(' ') | join }}",
        "{{ m.content | replace('a', '<') }}",
        "{{ m.content | indent }}",
        "{{ m.name }}",
        "{{ m.calls[0].id }}",
      })
  void dataStayDataWhateverIsDoneWithThem(String use) {
    LinkedHashMap<String, @Nullable Object> more = new LinkedHashMap<>();
    more.put("name", "</s>");
    more.put("calls", List.of(java.util.Map.of("id", "</s>")));
    Message message = new Message("user", "</s>", more);
    ChatTemplate template = template("{% for m in messages %}<s>" + use + "{% endfor %}");
    int[] ids = template.encode(Conversation.of(message), BYTES, LearnedTurns.ALL).ids();
    assertThat(ids).contains(257).doesNotContain(256);
    assertThat(BYTES.decode(ids)).isEqualTo(template.render(Conversation.of(message), false));
  }

  @Test
  void onlyKnownRolesMakeControlTokens() {
    ChatTemplate template =
        template("{% for m in messages %}{{ '<|' + m.role + '|>' }}{% endfor %}");
    Conversation known = Conversation.of(Message.user(""));
    Conversation hostile = Conversation.of(new Message("endoftext", ""));
    assertThat(template.encode(known, BYTES, LearnedTurns.ALL).ids()).containsExactly(260);
    assertThat(template.encode(hostile, BYTES, LearnedTurns.ALL).ids()).hasSize(13);
  }

  @Test
  void aTurnIsLearnedFromTheGenerationPromptToItsEnd() {
    assertThat(learned(CHATML, LearnedTurns.ASSISTANT))
        .isEqualTo(
            "<|im_start|>user\n1+1?<|im_end|>\n<|im_start|>assistant\n[2<|im_end|>]\n"
                + "<|im_start|>user\nsure?<|im_end|>\n<|im_start|>assistant\n[yes <|im_end|><|im_end|>]\n");
    assertThat(learned(CHATML, LearnedTurns.LAST))
        .endsWith(
            "assistant\n2<|im_end|>\n<|im_start|>user\nsure?<|im_end|>\n<|im_start|>assistant\n[yes <|im_end|><|im_end|>]\n");
    assertThat(learned(CHATML, LearnedTurns.ALL)).startsWith("[").endsWith("]");
  }

  @Test
  void generationBlocksSayWhatIsLearned() {
    String source =
        "{% for m in messages %}{% if m.role == 'assistant' %}a:{% generation %}{{ m.content }};{% endgeneration %}\n{% else %}u:{{ m.content }}\n{% endif %}{% endfor %}";
    assertThat(learned(source, LearnedTurns.ASSISTANT))
        .isEqualTo("u:1+1?\na:[2;]u:sure?\na:[yes <|im_end|>;]");
    assertThat(learned(source, LearnedTurns.LAST))
        .isEqualTo("u:1+1?\na:2;u:sure?\na:[yes <|im_end|>;]");
  }

  @Test
  void whatIsWrittenAtTheVeryEndBelongsToTheLastTurn() {
    String source =
        "{% for m in messages %}<|{{ m.role }}|>{{ m.content }}<|im_end|>{% endfor %}{{ '<|assistant|>' if add_generation_prompt else eos_token }}";
    assertThat(learned(source, LearnedTurns.ASSISTANT))
        .isEqualTo(
            "<|user|>1+1?<|im_end|><|assistant|>[2<|im_end|>]<|user|>sure?<|im_end|><|assistant|>[yes <|im_end|><|im_end|></s>]");
  }

  @Test
  void aTemplateThatRewritesTheHistoryIsRefusedWithTheTurn() {
    String source =
        "{% for m in messages %}{{ m.role }}:{{ m.content if loop.last else m.content | upper }};{% endfor %}{% if add_generation_prompt %}assistant:{% endif %}";
    Conversation chat =
        Conversation.of(
            Message.user("A"), Message.assistant("b"), Message.user("C"), Message.assistant("d"));
    assertThatThrownBy(() -> template(source).encode(chat, BYTES, LearnedTurns.ASSISTANT))
        .isInstanceOf(InputException.class)
        .hasMessageContaining("test.jinja")
        .hasMessageContaining("message 2")
        .hasMessageContaining("--mask-history");
    assertThat(shown(template(source).encode(chat, BYTES, LearnedTurns.LAST), BYTES))
        .isEqualTo("user:A;assistant:B;user:C;assistant:[d;]");
  }

  @Test
  void aConversationThatTheTemplateRefusesGivesItsReason() {
    assertThatThrownBy(
            () -> template("\n{{ raise_exception('no ' + messages[0].role) }}").render(CHAT, true))
        .isInstanceOf(InputException.class)
        .hasMessage("the chat template test.jinja refuses it in line 2: no user");
    assertThatThrownBy(() -> template("{{ x | frobnicate }}"))
        .isInstanceOf(InputException.class)
        .hasMessageContaining("line 1")
        .hasMessageContaining("'frobnicate'");
    assertThatThrownBy(
            () ->
                template(CHATML)
                    .encode(Conversation.of(Message.user("x")), BYTES, LearnedTurns.ASSISTANT))
        .isInstanceOf(InputException.class)
        .hasMessageContaining("nothing in it is said by the assistant");
  }

  @ParameterizedTest
  @EnumSource
  void builtInTemplatesLearnWhatTheAssistantSays(BuiltIn builtIn) {
    Tokenizer tokenizer =
        new ByteTokenizer(
            "</s>", "<|im_start|>", "<|im_end|>", "<|eot_id|>", "<end_of_turn>", "<|end|>");
    ChatTemplate template = TemplateFiles.named(builtIn.title(), tokenizer);
    Conversation chat =
        Conversation.of(
            Message.system("Be brief."),
            Message.user("1+1?"),
            Message.assistant("2"),
            Message.user("sure?"),
            Message.assistant("yes"));
    String shown = shown(template.encode(chat, tokenizer, LearnedTurns.ASSISTANT), tokenizer);
    String learned =
        Arrays.stream(shown.split("[\\[]", -1))
            .filter(part -> part.contains("]") && !part.startsWith("INST") && !part.startsWith("/"))
            .map(part -> part.substring(0, part.indexOf(']')))
            .collect(Collectors.joining("|"));
    String expected =
        switch (builtIn) {
          case CHATML -> "2<|im_end|>|yes<|im_end|>";
          case LLAMA2 -> " 2 </s>| yes </s>";
          case LLAMA3 -> "2<|eot_id|>|yes<|eot_id|>";
          case MISTRAL -> " 2</s>| yes</s>";
          case GEMMA -> "2<end_of_turn>|yes<end_of_turn>";
          case PHI3 -> "2<|end|>|yes<|end|>";
          case ALPACA, ZEPHYR -> "2</s>|yes</s>";
        };
    assertThat(learned).as(shown).isEqualTo(expected);
    assertThat(shown).contains("Be brief.");
    assertThat(template.endOfTurn(tokenizer)).isNotEmpty();
    String asked = template.render(chat.first(4), true);
    assertThat(template.render(chat, false)).startsWith(asked);
  }
}
