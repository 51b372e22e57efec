package dev.javelin.example.handbook;

import static org.assertj.core.api.Assertions.assertThat;

import dev.javelin.device.Cpu;
import dev.javelin.example.handbook.Serving.Answer;
import dev.javelin.example.handbook.Serving.Snapshots;
import dev.javelin.train.LanguageModel;
import dev.javelin.train.Trainer;
import dev.javelin.train.inference.Inference;
import dev.javelin.train.inference.Request;
import dev.javelin.train.inference.Sampler;
import dev.javelin.train.monitor.Watcher;
import java.io.IOException;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** A text of the handbook's server belongs to the weights of one step, whatever is trained. */
class ServingTest {
  private static final int STEPS = 6;
  private static final Request REQUEST =
      Request.of("the ").maxNewTokens(24).sampler(new Sampler(1, 0, 1, 7));

  /** What the model writes after each step, asked while it is at rest. */
  private static List<String> textsByStep() throws IOException {
    List<String> texts = new ArrayList<>();
    try (Cpu cpu = Cpu.open(1);
        LanguageModel model = Serving.model(cpu);
        Trainer trainer = Serving.training(model, STEPS).trainer();
        Inference inference = model.inference()) {
      texts.add(inference.generate(REQUEST).text());
      trainer.watch(
          new Watcher() {
            @Override
            public void advanced(long step) {
              texts.add(inference.generate(REQUEST).text());
            }
          });
      trainer.run();
    }
    assertThat(texts).as("steps that a text tells apart").doesNotHaveDuplicates();
    return texts;
  }

  /** After step 2 the training waits for the first piece, which waits for all other steps. */
  private static final class Overlap implements Watcher {
    final CountDownLatch atTwo = new CountDownLatch(1);
    final CountDownLatch begun = new CountDownLatch(1);
    final CountDownLatch trained = new CountDownLatch(1);

    @Override
    public void advanced(long step) {
      if (step == 2) {
        atTwo.countDown();
        await(begun);
      }
    }

    @Override
    public void ended() {
      trained.countDown();
    }

    void piece() {
      begun.countDown();
      await(trained);
    }

    private static void await(CountDownLatch latch) {
      try {
        latch.await();
      } catch (InterruptedException e) {
        throw new IllegalStateException(e);
      }
    }
  }

  @ParameterizedTest
  @ValueSource(booleans = {true, false})
  void aTextHasTheWeightsOfOneStep(boolean sameDevice) throws Exception {
    List<String> texts = textsByStep();
    Overlap overlap = new Overlap();
    try (Cpu cpu = Cpu.open(2);
        Cpu other = Cpu.open(1);
        LanguageModel model = Serving.model(cpu);
        Trainer trainer = Serving.training(model, STEPS).trainer();
        ExecutorService threads = Executors.newSingleThreadExecutor()) {
      Snapshots snapshots = new Snapshots(model, sameDevice ? cpu : other, 1);
      assertThat(snapshots.answer(REQUEST, piece -> {})).isEqualTo(new Answer(0, texts.get(0)));
      Future<?> run = threads.submit(trainer.watch(snapshots).watch(overlap)::run);
      overlap.atTwo.await();
      Answer during = snapshots.answer(REQUEST, piece -> overlap.piece());
      run.get();
      assertThat(during).isEqualTo(new Answer(2, texts.get(2)));
      assertThat(snapshots.passedOver.sum()).as("steps 4 to 6").isEqualTo(3);
      assertThat(snapshots.answer(REQUEST, piece -> {})).isEqualTo(new Answer(3, texts.get(3)));
    }
  }

  /** Why there are copies: the model itself goes on while it writes. */
  @Test
  void theModelItselfWritesATextOfTwoSteps() throws Exception {
    Overlap overlap = new Overlap();
    try (Cpu cpu = Cpu.open(1);
        LanguageModel model = Serving.model(cpu);
        Trainer trainer = Serving.training(model, STEPS).trainer();
        Inference inference = model.inference();
        ExecutorService threads = Executors.newSingleThreadExecutor()) {
      Future<?> run = threads.submit(trainer.watch(overlap)::run);
      overlap.atTwo.await();
      String mixed = inference.generate(REQUEST, piece -> overlap.piece()).text();
      run.get();
      assertThat(mixed).isNotIn(textsByStep());
    }
  }

  @Test
  void whatIsClosedSaysSo() throws Exception {
    try (Cpu cpu = Cpu.open(1);
        LanguageModel model = Serving.model(cpu)) {
      Snapshots snapshots = new Snapshots(model, cpu, 1);
      snapshots.close();
      Pages.says(
          "serving-while-training.md", "closed", () -> snapshots.answer(REQUEST, piece -> {}));
    }
  }

  @Test
  void servingMovesNoBitOfTheTraining() throws Exception {
    try (Cpu cpu = Cpu.open(1);
        LanguageModel alone = Serving.model(cpu);
        LanguageModel served = Serving.model(cpu);
        Trainer trainer = Serving.training(alone, STEPS).trainer();
        Trainer watched = Serving.training(served, STEPS).trainer()) {
      trainer.run();
      Snapshots snapshots = new Snapshots(served, cpu, 1);
      watched
          .watch(snapshots)
          .watch(
              new Watcher() {
                @Override
                public void advanced(long step) {
                  assertThat(snapshots.answer(REQUEST, piece -> {}).step()).isEqualTo(step);
                }
              });
      watched.run();
      assertThat(served.parameters().weights().toFloats())
          .isEqualTo(alone.parameters().weights().toFloats());
    }
  }
}
