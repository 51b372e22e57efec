package quarkus;

import dev.javelin.device.Cpu;
import dev.javelin.train.LanguageModel;
import dev.javelin.train.Run;
import dev.javelin.train.inference.Inference;
import dev.javelin.train.monitor.Lines;
import dev.javelin.train.settings.RunSettings;
import jakarta.enterprise.inject.Disposes;
import jakarta.enterprise.inject.Produces;
import jakarta.inject.Singleton;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import org.jboss.logging.Logger;

/** A model that is trained at the first start and loaded at later ones. */
class Models {
  @Produces
  @Singleton // not @ApplicationScoped: that needs a proxy, and the classes are final
  Cpu cpu(ModelSettings settings) {
    return Cpu.open(settings.threads());
  }

  void close(@Disposes Cpu cpu) {
    cpu.close();
  }

  @Produces
  @Singleton
  LanguageModel model(Cpu cpu, ModelSettings settings) throws IOException {
    Path trained = settings.directory().resolve("model");
    if (Files.notExists(trained)) {
      train(settings, trained);
    }
    return LanguageModel.load(cpu, trained);
  }

  void close(@Disposes LanguageModel model) {
    model.close();
  }

  @Produces
  @Singleton
  Inference inference(LanguageModel model) {
    return model.inference();
  }

  void close(@Disposes Inference inference) {
    inference.close();
  }

  private static void train(ModelSettings settings, Path trained) throws IOException {
    RunSettings run =
        RunSettings.DEFAULT
            .withModel(m -> m.withModel("llama-shakespeare-cpu").withTokenizer("char"))
            .withData(d -> d.withData(settings.texts().orElse(List.of())))
            .withBatch(b -> b.withBatchSize(4).withSeqLen(32))
            .withDevice(d -> d.withDevice("cpu").withThreads(settings.threads()))
            .withRun(r -> r.withMaxSteps(settings.steps()).withOutputDir(settings.directory()));
    Logger logger = Logger.getLogger(Models.class);
    try (Run training = Run.open(run)) {
      training.trainer().watch(new Lines(settings.steps(), logger::info)).run();
      training.model().save(trained);
    }
  }
}
