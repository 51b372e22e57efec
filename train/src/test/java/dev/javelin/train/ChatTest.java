package dev.javelin.train;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.javelin.device.Cpu;
import dev.javelin.nn.Grouping;
import dev.javelin.nn.Precision;
import dev.javelin.nn.family.Llama;
import dev.javelin.train.chat.Conversation;
import dev.javelin.train.chat.Message;
import dev.javelin.train.data.InputException;
import dev.javelin.train.inference.Chat;
import dev.javelin.train.inference.Inference;
import dev.javelin.train.inference.Reply;
import dev.javelin.train.inference.Request;
import dev.javelin.train.inference.Sampler;
import dev.javelin.train.tokenizer.ByteTokenizer;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.Test;

class ChatTest {
  private static final int POSITIONS = 100;
  private static final ByteTokenizer BYTES = new ByteTokenizer("<end>");

  private static int[] template(Conversation c) {
    StringBuilder text = new StringBuilder();
    for (Message m : c.messages()) {
      text.append(m.role().charAt(0)).append(':').append(m.content()).append('\n');
    }
    return BYTES.encode(text + "a:");
  }

  @Test
  void turnsGoOnFromEachOtherAndTheOldestAreLeftOut() {
    try (Cpu cpu = Cpu.open(2);
        LanguageModel model =
            LanguageModel.create(
                cpu,
                Llama.config(BYTES.vocabSize(), 2, 4, 2, 32, 48, POSITIONS),
                Precision.FP32,
                Grouping.frozen(),
                1,
                BYTES);
        Inference inference = model.inference()) {
      Request options = Request.of("").maxNewTokens(10).sampler(new Sampler(0.7, 0, 1, 5));
      List<Integer> leftOut = new ArrayList<>();
      try (Chat chat = new Chat(inference, ChatTest::template, POSITIONS, "be kind", options)) {
        List<Message> expected = new ArrayList<>(List.of(Message.system("be kind")));
        for (int turn = 0; turn < 8; turn++) {
          StringBuilder streamed = new StringBuilder();
          Reply reply = chat.say("question " + turn, leftOut::add, streamed::append);
          assertThat(streamed.toString()).isEqualTo(reply.text());
          expected.add(Message.user("question " + turn));
          // What a single request makes of the conversation as it now is.
          List<Message> now = chat.messages();
          List<Message> asked = now.subList(0, now.size() - 1);
          int[] prompt = template(new Conversation(asked));
          assertThat(prompt.length).isLessThanOrEqualTo(POSITIONS - 10);
          assertThat(asked.getFirst()).isEqualTo(Message.system("be kind"));
          assertThat(expected.subList(expected.size() - asked.size() + 1, expected.size()))
              .isEqualTo(asked.subList(1, asked.size()));
          assertThat(
                  inference.generate(
                      prompt, options.sampler(new Sampler(0.7, 0, 1, 5 + turn)), piece -> {}))
              .isEqualTo(reply);
          expected.add(Message.assistant(reply.text()));
        }
        assertThat(leftOut).isNotEmpty().allMatch(n -> n % 2 == 0);
        List<Message> before = chat.messages();
        assertThatThrownBy(() -> chat.say("x".repeat(90), leftOut::add, piece -> {}))
            .isInstanceOf(InputException.class)
            .hasMessage(
                "the message makes 105 tokens, and the model has 100 positions: shorten it");
        assertThat(chat.messages()).isEqualTo(before);
        assertThat(chat.say("x".repeat(80), n -> {}, piece -> {}).ids().size()).isBetween(1, 5);
        chat.reset();
        assertThat(chat.messages()).containsExactly(Message.system("be kind"));
      }
    }
  }
}
