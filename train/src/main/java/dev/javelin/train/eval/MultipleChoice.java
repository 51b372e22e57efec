package dev.javelin.train.eval;

import dev.javelin.autograd.Losses;
import dev.javelin.autograd.Tape;
import dev.javelin.autograd.Var;
import dev.javelin.device.DType;
import dev.javelin.device.Device;
import dev.javelin.device.Memory;
import dev.javelin.device.Turn;
import dev.javelin.nn.Pass;
import dev.javelin.nn.Transformer;
import dev.javelin.tensor.Shape;
import dev.javelin.tensor.Tensor;
import dev.javelin.tensor.step.Workspace;
import dev.javelin.train.data.BatchLayout;
import dev.javelin.train.data.InputException;
import dev.javelin.train.data.TextFrame;
import dev.javelin.train.data.format.DataFormat;
import dev.javelin.train.data.format.Document;
import dev.javelin.train.tokenizer.Tokenizer;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.lang.foreign.MemorySegment;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Locale;
import org.jspecify.annotations.Nullable;

/**
 * Questions with several answers, of which the model takes the one that it would most likely write
 * behind the prompt: by the sum of the logarithms of its tokens' probabilities, and by that sum
 * over the UTF-8 bytes of the answer, which favours no short ones.
 *
 * @param accuracy of the sums
 * @param normalised accuracy of the sums over bytes
 * @param questions how many
 */
public record MultipleChoice(double accuracy, double normalised, int questions) {

  /**
   * A question.
   *
   * @param answer the right one of the choices
   */
  public record Question(String source, String prompt, List<String> choices, int answer) {}

  /**
   * Reads JSONL: {@code {"prompt": "…", "choices": ["…", "…"], "answer": 0}}; the prompt may be
   * called {@code question}, the answer may be the text of a choice or its letter.
   *
   * @throws InputException where the file has no rows
   * @throws dev.javelin.tensor.io.FileFormatException for a row without one of the fields
   */
  public static List<Question> read(Path file) {
    List<Question> questions = new ArrayList<>();
    try (DataFormat.Documents documents = Predictions.format(file).open(file)) {
      for (Document d = documents.next(); d != null; d = documents.next()) {
        questions.add(question(d));
      }
    } catch (IOException e) {
      throw new UncheckedIOException(file + ": cannot be read: " + e.getMessage(), e);
    }
    if (questions.isEmpty()) {
      throw new InputException(file + " holds no questions: name a file with some");
    }
    return questions;
  }

  private static Question question(Document d) {
    Object prompt = d.fields().getOrDefault("prompt", d.fields().get("question"));
    if (!(prompt instanceof String text) || text.isBlank()) {
      throw d.error("has no prompt", "give it as text under \"prompt\"");
    }
    List<String> choices = new ArrayList<>();
    if (d.fields().get("choices") instanceof List<?> list) {
      for (Object choice : list) {
        if (choice instanceof String one && !one.isBlank()) {
          choices.add(one);
        }
      }
      if (choices.size() != list.size()) {
        throw d.error("has a choice that is no text", "give \"choices\" as a list of texts");
      }
    }
    if (choices.size() < 2) {
      throw d.error("has no choices", "give two or more texts under \"choices\"");
    }
    int answer = answer(d.fields().get("answer"), choices);
    if (answer < 0) {
      throw d.error(
          "has no answer that is one of its choices",
          "give under \"answer\" the number of the right choice from 0 on, its letter, or its text");
    }
    return new Question(d.source(), text, choices, answer);
  }

  private static int answer(@Nullable Object value, List<String> choices) {
    if (value instanceof Long n) {
      return n >= 0 && n < choices.size() ? n.intValue() : -1;
    }
    if (value instanceof String text) {
      int same = choices.indexOf(text);
      int letter = text.length() == 1 ? text.charAt(0) - 'A' : -1;
      return same >= 0 ? same : letter < choices.size() ? letter : -1;
    }
    return -1;
  }

  /**
   * Ids of which those from {@code from} on are scored.
   *
   * @param bytes of the answer
   */
  record Sequence(int[] ids, int from, int bytes) {}

  /**
   * The prompt and a choice, with a space between where neither has one, split as they are
   * tokenised together.
   *
   * @throws InputException where the two are longer than the model's positions
   */
  static Sequence sequence(
      Tokenizer tokenizer, TextFrame frame, Question q, String choice, int positions) {
    String prompt = q.prompt.stripTrailing();
    String space = q.prompt.substring(prompt.length());
    String text = Character.isWhitespace(choice.charAt(0)) ? choice : " " + choice;
    text = space.isEmpty() ? text : space + choice.strip();
    int[] before = frame.before();
    int[] whole = tokenizer.encode(prompt + text);
    int context = Math.min(tokenizer.encode(prompt).length, whole.length - 1);
    int[] ids = Arrays.copyOf(before, before.length + whole.length);
    System.arraycopy(whole, 0, ids, before.length, whole.length);
    int from = Math.max(1, before.length + context);
    if (ids.length - 1 > positions) {
      throw new InputException(
          "%s: prompt and choice have %d tokens, the model has %d positions: shorten the prompt"
              .formatted(q.source, ids.length, positions));
    }
    return new Sequence(ids, from, choice.strip().getBytes(StandardCharsets.UTF_8).length);
  }

  /**
   * Lets a model answer.
   *
   * @param rows choices at a time
   */
  public static MultipleChoice of(
      Transformer model, Tokenizer tokenizer, List<Question> questions, int rows) {
    TextFrame frame = TextFrame.of(tokenizer);
    int positions = model.config().positions();
    List<Sequence> sequences = new ArrayList<>();
    for (Question q : questions) {
      for (String choice : q.choices) {
        sequences.add(sequence(tokenizer, frame, q, choice, positions));
      }
    }
    double[] scores = logLikelihoods(model, sequences, rows);
    int right = 0;
    int rightByBytes = 0;
    int at = 0;
    for (Question q : questions) {
      int best = 0;
      int bestByBytes = 0;
      for (int i = 1; i < q.choices.size(); i++) {
        best = scores[at + i] > scores[at + best] ? i : best;
        bestByBytes =
            perByte(scores, sequences, at + i) > perByte(scores, sequences, at + bestByBytes)
                ? i
                : bestByBytes;
      }
      right += best == q.answer ? 1 : 0;
      rightByBytes += bestByBytes == q.answer ? 1 : 0;
      at += q.choices.size();
    }
    double count = questions.size();
    return new MultipleChoice(right / count, rightByBytes / count, questions.size());
  }

  private static double perByte(double[] scores, List<Sequence> sequences, int i) {
    return scores[i] / sequences.get(i).bytes;
  }

  /** The sum of the logarithms of the scored tokens' probabilities, of each sequence. */
  static double[] logLikelihoods(Transformer model, List<Sequence> sequences, int rows) {
    Device device = model.tokens().value().device();
    double[] sums = new double[sequences.size()];
    try (Workspace workspace = Workspace.on(device)) {
      for (int first = 0; first < sums.length; first += rows) {
        List<Sequence> batch = sequences.subList(first, Math.min(sums.length, first + rows));
        int seqLen = batch.stream().mapToInt(s -> s.ids.length - 1).max().orElse(1);
        int[] tokens = new int[batch.size() * seqLen];
        int[] targets = new int[tokens.length];
        Arrays.fill(targets, BatchLayout.IGNORED);
        for (int b = 0; b < batch.size(); b++) {
          Sequence s = batch.get(b);
          System.arraycopy(s.ids, 0, tokens, b * seqLen, s.ids.length - 1);
          int scored = s.ids.length - s.from;
          System.arraycopy(s.ids, s.from, targets, b * seqLen + s.from - 1, scored);
        }
        float[] losses = losses(model, workspace, tokens, targets, batch.size(), seqLen);
        for (int i = 0; i < losses.length; i++) {
          sums[first + i / seqLen] -= losses[i];
        }
      }
    }
    return sums;
  }

  private static float[] losses(
      Transformer model, Workspace workspace, int[] tokens, int[] targets, int rows, int seqLen) {
    Device device = workspace.device();
    Shape shape = Shape.of(rows, seqLen);
    long bytes = DType.I32.bytes(shape.elements());
    try (Turn _ = device.turn();
        Memory a = device.allocate(bytes);
        Memory b = device.allocate(bytes)) {
      Tensor ids = Tensor.of(a, 0, DType.I32, shape);
      Tensor wanted = Tensor.of(b, 0, DType.I32, shape);
      ids.fromHost(MemorySegment.ofArray(tokens));
      wanted.fromHost(MemorySegment.ofArray(targets));
      workspace.reset();
      model.prepare(seqLen);
      Tape tape = Tape.inference(workspace);
      Var hidden = model.hidden(tape, ids, Pass.PLAIN);
      return Losses.linearCrossEntropyLosses(
              hidden, model.headWeight(tape), wanted, model.lossOptions())
          .value()
          .toFloats();
    }
  }

  /** {@code {"accuracy":…,"normalised_accuracy":…,"questions":…}} */
  public String json() {
    return "{\"accuracy\":%s,\"normalised_accuracy\":%s,\"questions\":%d}"
        .formatted(accuracy, normalised, questions);
  }

  @Override
  public String toString() {
    return String.format(
        Locale.ROOT,
        "accuracy %.4f | by bytes %.4f | %,d questions",
        accuracy,
        normalised,
        questions);
  }
}
