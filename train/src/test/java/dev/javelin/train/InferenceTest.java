package dev.javelin.train;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.javelin.device.Cpu;
import dev.javelin.nn.Grouping;
import dev.javelin.nn.Precision;
import dev.javelin.nn.TransformerConfig;
import dev.javelin.nn.family.Gpt2;
import dev.javelin.nn.family.Llama;
import dev.javelin.train.inference.Inference;
import dev.javelin.train.inference.Reply;
import dev.javelin.train.inference.Reply.Finish;
import dev.javelin.train.inference.Request;
import dev.javelin.train.inference.Sampler;
import dev.javelin.train.inference.Session;
import dev.javelin.train.tokenizer.ByteTokenizer;
import java.util.ArrayList;
import java.util.List;
import java.util.Set;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

class InferenceTest {
  private static final ByteTokenizer BYTES = new ByteTokenizer("<end>");

  private static LanguageModel model(Cpu cpu, String kind, Precision precision) {
    TransformerConfig config =
        switch (kind) {
          case "gpt2" -> Gpt2.config(BYTES.vocabSize(), 2, 4, 32, 40);
          case "dynamic" -> TinyModels.dynamic().withVocab(BYTES.vocabSize());
          case "windows" ->
              Llama.config(BYTES.vocabSize(), 2, 4, 2, 32, 48, 150)
                  .with(c -> c.attention(new TransformerConfig.Attention(4, 2, 8, 9, false)));
          default -> Llama.config(BYTES.vocabSize(), 2, 4, 2, 32, 48, 40);
        };
    return LanguageModel.create(cpu, config, precision, Grouping.frozen(), 1, BYTES);
  }

  /** Longer than the positions, too, so that text is forgotten. */
  private static Request request(int i) {
    return Request.of("prompt " + "x".repeat(i % 7))
        .maxNewTokens(10 + 9 * (i % 6))
        .sampler(new Sampler(0.9, 40, 0.95, i))
        .repetitionPenalty(i % 2 == 0 ? 1 : 1.2);
  }

  @ParameterizedTest
  @CsvSource({
    "llama, FP32, 1",
    "llama, BF16, 3",
    "gpt2, FP32, 2",
    "dynamic, FP32, 2",
    "windows, FP32, 2"
  })
  void aReplyIsTheSameWhateverElseRuns(String kind, String precision, int threads)
      throws Exception {
    Precision p = precision.equals("BF16") ? Precision.BF16 : Precision.FP32;
    int requests = 24;
    List<Reply> alone = new ArrayList<>();
    try (Cpu cpu = Cpu.open(1);
        LanguageModel model = model(cpu, kind, p)) {
      for (int i = 0; i < requests; i++) {
        try (Inference inference = model.inference()) {
          alone.add(inference.generate(request(i)));
        }
      }
    }
    try (Cpu cpu = Cpu.open(threads);
        LanguageModel model = model(cpu, kind, p);
        Inference inference = model.inference();
        ExecutorService callers = Executors.newFixedThreadPool(8)) {
      List<Future<Reply>> replies = new ArrayList<>();
      for (int i = 0; i < requests; i++) {
        Request request = request(i);
        replies.add(callers.submit(() -> inference.generate(request)));
      }
      for (int i = 0; i < requests; i++) {
        assertThat(replies.get(i).get()).as("request %d", i).isEqualTo(alone.get(i));
      }
    }
  }

  @ParameterizedTest
  @ValueSource(ints = {1, 3, 40})
  void aListIsServedInItsOrder(int most) {
    try (Cpu cpu = Cpu.open(2);
        LanguageModel model = model(cpu, "windows", Precision.FP32);
        Inference inference = model.inference()) {
      List<Request> requests = IntStream.range(0, 9).mapToObj(InferenceTest::request).toList();
      Reply[] told = new Reply[requests.size()];
      List<Reply> replies = inference.generate(requests, most, (i, reply) -> told[i] = reply);
      assertThat(replies).containsExactly(told);
      for (int i = 0; i < replies.size(); i++) {
        assertThat(replies.get(i)).isEqualTo(inference.generate(requests.get(i)));
      }
      assertThat(inference.generate(List.of(), most, (i, reply) -> {})).isEmpty();
      inference.close();
      assertThatThrownBy(() -> inference.generate(requests, most, (i, reply) -> {}))
          .isInstanceOf(IllegalStateException.class)
          .hasMessageContaining("closed");
    }
  }

  @Test
  void aReplySaysHowMuchWasForgotten() {
    try (Cpu cpu = Cpu.open(2);
        LanguageModel model = model(cpu, "llama", Precision.FP32);
        Inference inference = model.inference()) {
      Request request = Request.of("x".repeat(10)).maxNewTokens(31);
      assertThat(inference.generate(request).forgotten()).isZero(); // the last is not read
      assertThat(inference.generate(request.maxNewTokens(32)).forgotten()).isEqualTo(21);
      assertThat(inference.generate(Request.of("x".repeat(43)).maxNewTokens(1)).forgotten())
          .isEqualTo(3);
    }
  }

  @Test
  void aSessionReadsWhatIsNewAndWritesTheSame() {
    try (Cpu cpu = Cpu.open(2);
        LanguageModel model = model(cpu, "windows", Precision.FP32);
        Inference inference = model.inference();
        Session session = inference.session()) {
      String text = "one ";
      for (int turn = 0; turn < 5; turn++) {
        Request request = Request.of(text).maxNewTokens(9 + turn);
        Reply fresh = inference.generate(request);
        Reply reply = session.generate(BYTES.encodePrompt(text), request, piece -> {});
        assertThat(reply).as("turn %d", turn).isEqualTo(fresh);
        text = turn == 3 ? "on another matter" : text + reply.text() + " and ";
      }
    }
  }

  @Test
  void theSimpleCallServesManyThreadsToo() throws Exception {
    try (Cpu cpu = Cpu.open(2);
        LanguageModel model = model(cpu, "llama", Precision.FP32);
        ExecutorService callers = Executors.newFixedThreadPool(4)) {
      String alone = model.generate("abc", 20, Sampler.GREEDY);
      List<Future<String>> texts = new ArrayList<>();
      for (int i = 0; i < 12; i++) {
        texts.add(callers.submit(() -> model.generate("abc", 20, Sampler.GREEDY)));
      }
      for (Future<String> text : texts) {
        assertThat(text.get()).isEqualTo(alone);
      }
    }
  }

  @Test
  void anyOfTheEndTokensEndsTheText() {
    try (Cpu cpu = Cpu.open(1);
        LanguageModel model = model(cpu, "llama", Precision.FP32)) {
      Request request = Request.of("abc").maxNewTokens(12).sampler(new Sampler(1, 0, 1, 3));
      List<Integer> ids;
      try (Inference inference = model.inference()) {
        Reply whole = inference.generate(request);
        assertThat(whole.finish()).isEqualTo(Finish.LENGTH);
        ids = whole.ids();
      }
      int end = ids.get(7);
      int first = ids.indexOf(end);
      try (Inference inference = new Inference(model.parameters(), BYTES, Set.of(256, end))) {
        Reply cut = inference.generate(request);
        assertThat(cut.finish()).isEqualTo(Finish.END_TOKEN);
        assertThat(cut.ids()).isEqualTo(ids.subList(0, first));
      }
    }
  }

  @Test
  void aStopStringEndsTheText() {
    try (Cpu cpu = Cpu.open(1);
        LanguageModel model = model(cpu, "llama", Precision.FP32);
        Inference inference = model.inference()) {
      Request request = Request.of("abc").maxNewTokens(40).sampler(new Sampler(1, 0, 1, 5));
      String text = inference.generate(request).text();
      String stop = text.substring(10, 13);
      StringBuilder streamed = new StringBuilder();
      Reply cut = inference.generate(request.stop("never comes", stop), streamed::append);
      assertThat(cut.finish()).isEqualTo(Finish.STOP_STRING);
      assertThat(cut.text()).isEqualTo(text.substring(0, text.indexOf(stop)));
      assertThat(streamed.toString()).isEqualTo(cut.text());
    }
  }

  @Test
  void anInterruptEndsTheRequestAndStaysWithTheThread() {
    try (Cpu cpu = Cpu.open(1);
        LanguageModel model = model(cpu, "llama", Precision.FP32);
        Inference inference = model.inference()) {
      StringBuilder text = new StringBuilder();
      Reply reply =
          inference.generate(
              Request.of("abc").maxNewTokens(Request.MOST_NEW_TOKENS),
              piece -> {
                text.append(piece);
                if (text.length() >= 5) {
                  Thread.currentThread().interrupt();
                }
              });
      assertThat(Thread.interrupted()).isTrue();
      assertThat(reply.finish()).isEqualTo(Finish.INTERRUPTED);
      assertThat(reply.text()).isEqualTo(text.toString());
    }
  }

  @Test
  void closingModelInferenceOrDeviceEndsRequestsInProgress() throws Exception {
    for (String what : List.of("the model's parameters", "the inference", "cpu(2 threads)")) {
      Cpu cpu = Cpu.open(2);
      LanguageModel model = model(cpu, "llama", Precision.FP32);
      Inference inference = model.inference();
      AtomicBoolean begun = new AtomicBoolean();
      try (ExecutorService caller = Executors.newSingleThreadExecutor()) {
        Future<Reply> reply =
            caller.submit(
                () ->
                    inference.generate(
                        Request.of("abc").maxNewTokens(Request.MOST_NEW_TOKENS),
                        piece -> begun.set(true)));
        while (!begun.get()) {
          Thread.onSpinWait();
        }
        switch (what) {
          case "the inference" -> inference.close();
          case "cpu(2 threads)" -> cpu.close();
          default -> model.close();
        }
        assertThatThrownBy(reply::get)
            .hasCauseInstanceOf(IllegalStateException.class)
            .hasMessageContaining(what.startsWith("cpu") ? "closed" : what);
        assertThatThrownBy(() -> inference.generate(Request.of("a")))
            .isInstanceOf(IllegalStateException.class)
            .hasMessageContaining("closed");
      }
      inference.close();
      model.close();
      cpu.close();
    }
  }

  @Test
  void refusesWhatNoModelCanWrite() {
    assertThatThrownBy(() -> Request.of("a").maxNewTokens(Integer.MAX_VALUE))
        .hasMessage("--max-new-tokens must lie between 0 and 16777216, got 2147483647");
    assertThatThrownBy(() -> Request.of("a").maxNewTokens(-1)).hasMessageContaining("got -1");
    assertThatThrownBy(() -> Request.of("a").repetitionPenalty(0))
        .hasMessageContaining("--repetition-penalty must be more than 0");
    assertThatThrownBy(() -> Request.of("a").repetitionPenalty(Double.NaN))
        .hasMessageContaining("NaN");
    assertThatThrownBy(() -> Request.of("a").stop("x", "")).hasMessageContaining("--stop");
    try (Cpu cpu = Cpu.open(1);
        LanguageModel model = model(cpu, "llama", Precision.FP32);
        Inference inference = model.inference()) {
      assertThatThrownBy(
              () -> inference.tokens(new int[] {1, 9999}, 1, Sampler.GREEDY, token -> true))
          .hasMessage("token 9999 of the prompt is outside the model's vocabulary of 257");
    }
  }
}
