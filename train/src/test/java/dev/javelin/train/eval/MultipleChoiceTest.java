package dev.javelin.train.eval;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import dev.javelin.autograd.Tape;
import dev.javelin.device.Cpu;
import dev.javelin.device.DType;
import dev.javelin.device.Memory;
import dev.javelin.nn.Grouping;
import dev.javelin.nn.Init;
import dev.javelin.nn.Precision;
import dev.javelin.nn.Transformer;
import dev.javelin.nn.family.Llama;
import dev.javelin.tensor.Shape;
import dev.javelin.tensor.Tensor;
import dev.javelin.tensor.io.FileFormatException;
import dev.javelin.tensor.step.Workspace;
import dev.javelin.train.data.InputException;
import dev.javelin.train.data.TextFrame;
import dev.javelin.train.eval.MultipleChoice.Question;
import dev.javelin.train.tokenizer.ByteTokenizer;
import dev.javelin.train.tokenizer.Tokenizer;
import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class MultipleChoiceTest {
  private static final Tokenizer BYTES = new ByteTokenizer();

  private static final List<Question> QUESTIONS =
      List.of(
          new Question("1", "The sky is", List.of("blue", "a potato"), 0),
          new Question("2", "Two and two are ", List.of("five", "four", "22"), 1),
          new Question("3", "Say:", List.of(" yes", " no, never"), 1));

  @TempDir Path dir;

  /** Batches of any size, against logits of each sequence alone and a softmax in double. */
  @Test
  void aChoiceIsScoredByTheLogarithmsOfItsTokens() {
    try (Cpu cpu = Cpu.open(2);
        var buffer =
            Transformer.allocate(
                cpu,
                Llama.config(BYTES.vocabSize(), 2, 2, 1, 32, 48, 64),
                Precision.FP32,
                Grouping.frozen());
        Workspace workspace = Workspace.on(cpu)) {
      Init.normal(buffer, 1);
      List<MultipleChoice.Sequence> sequences = new ArrayList<>();
      for (Question q : QUESTIONS) {
        for (String choice : q.choices()) {
          sequences.add(MultipleChoice.sequence(BYTES, TextFrame.of(BYTES), q, choice, 64));
        }
      }
      assertThat(BYTES.decode(sequences.getFirst().ids())).isEqualTo("The sky is blue");
      assertThat(sequences.getFirst().from()).isEqualTo("The sky is".length());
      assertThat(BYTES.decode(sequences.get(3).ids())).isEqualTo("Two and two are four");
      assertThat(BYTES.decode(sequences.get(5).ids())).isEqualTo("Say: yes");
      double[] expected = new double[sequences.size()];
      for (int i = 0; i < expected.length; i++) {
        expected[i] = alone(cpu, workspace, buffer.model(), sequences.get(i));
      }
      for (int rows : new int[] {1, 2, 16}) {
        assertThat(MultipleChoice.logLikelihoods(buffer.model(), sequences, rows))
            .containsExactly(expected, within(1e-3));
      }
      MultipleChoice result = MultipleChoice.of(buffer.model(), BYTES, QUESTIONS, 4);
      assertThat(result.accuracy()).isEqualTo(right(expected, sequences, false), within(1e-9));
      assertThat(result.normalised()).isEqualTo(right(expected, sequences, true), within(1e-9));
      assertThat(result.json()).endsWith("\"questions\":3}");
    }
  }

  private static double right(
      double[] scores, List<MultipleChoice.Sequence> sequences, boolean byBytes) {
    int at = 0;
    double right = 0;
    for (Question q : QUESTIONS) {
      double best = Double.NEGATIVE_INFINITY;
      int chosen = -1;
      for (int i = 0; i < q.choices().size(); i++, at++) {
        double score = byBytes ? scores[at] / sequences.get(at).bytes() : scores[at];
        chosen = score > best ? i : chosen;
        best = Math.max(best, score);
      }
      right += chosen == q.answer() ? 1 : 0;
    }
    return right / QUESTIONS.size();
  }

  private static double alone(
      Cpu cpu, Workspace workspace, Transformer model, MultipleChoice.Sequence s) {
    int n = s.ids().length;
    try (Memory memory = cpu.allocate(4L * n)) {
      Tensor ids = Tensor.of(memory, 0, DType.I32, Shape.of(1, n));
      ids.fromHost(MemorySegment.ofArray(s.ids()));
      workspace.reset();
      float[] logits = model.forward(Tape.inference(workspace), ids).value().toFloats();
      int vocab = logits.length / n;
      double sum = 0;
      for (int t = s.from(); t < n; t++) {
        double all = 0;
        for (int v = 0; v < vocab; v++) {
          all += Math.exp(logits[(t - 1) * vocab + v]);
        }
        sum += logits[(t - 1) * vocab + s.ids()[t]] - Math.log(all);
      }
      return sum;
    }
  }

  @Test
  void questionsComeFromJsonLines() throws IOException {
    Path file =
        Files.writeString(
            dir.resolve("q.jsonl"),
            """
            {"prompt": "A or B?", "choices": ["x", "y"], "answer": 1}
            {"question": "A or B?", "choices": ["x", "y"], "answer": "B"}
            {"question": "A or B?", "choices": ["x", "y"], "answer": "y"}
            """);
    assertThat(MultipleChoice.read(file))
        .hasSize(3)
        .allSatisfy(
            q -> {
              assertThat(q.answer()).isEqualTo(1);
              assertThat(q.prompt()).isEqualTo("A or B?");
            });
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      value = {
        "{\"choices\": [\"x\", \"y\"], \"answer\": 0} | line 1 has no prompt",
        "{\"prompt\": \" \", \"choices\": [\"x\", \"y\"], \"answer\": 0} | line 1 has no prompt",
        "{\"prompt\": \"p\", \"choices\": [\"x\"], \"answer\": 0} | line 1 has no choices",
        "{\"prompt\": \"p\", \"choices\": [\"x\", 3], \"answer\": 0} | has a choice that is no text",
        "{\"prompt\": \"p\", \"choices\": [\"x\", \"y\"], \"answer\": 2} | has no answer",
        "{\"prompt\": \"p\", \"choices\": [\"x\", \"y\"], \"answer\": \"z\"} | has no answer",
        "{\"prompt\": \"p\", \"choices\": [\"x\", \"y\"]} | has no answer",
      })
  void whatIsNoQuestionIsNamedByItsLine(String line, String message) throws IOException {
    Path file = Files.writeString(dir.resolve("q.jsonl"), line);
    assertThatThrownBy(() -> MultipleChoice.read(file))
        .isInstanceOf(FileFormatException.class)
        .hasMessageContaining(message);
  }

  @Test
  void aPromptThatIsTooLongIsRefused() {
    Question q = new Question("q.jsonl line 3", "long ".repeat(20), List.of("a", "b"), 0);
    assertThatThrownBy(() -> MultipleChoice.sequence(BYTES, TextFrame.of(BYTES), q, "a", 64))
        .isInstanceOf(InputException.class)
        .hasMessageContaining("q.jsonl line 3: prompt and choice have 101 tokens");
  }
}
