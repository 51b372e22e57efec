package boot;

import dev.javelin.device.Cpu;
import dev.javelin.train.LanguageModel;
import dev.javelin.train.Run;
import dev.javelin.train.inference.Inference;
import dev.javelin.train.monitor.Lines;
import dev.javelin.train.settings.RunSettings;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import org.slf4j.LoggerFactory;
import org.springframework.context.annotation.Bean;
import org.springframework.context.annotation.Configuration;

/** A model that is trained at the first start and loaded at later ones; closed with the context. */
@Configuration(proxyBeanMethods = false)
class Models {
  @Bean
  Cpu cpu(ModelSettings settings) {
    return Cpu.open(settings.threads());
  }

  @Bean
  LanguageModel model(Cpu cpu, ModelSettings settings) throws IOException {
    Path trained = settings.directory().resolve("model");
    if (Files.notExists(trained)) {
      train(settings, trained);
    }
    return LanguageModel.load(cpu, trained);
  }

  @Bean
  Inference inference(LanguageModel model) {
    return model.inference();
  }

  private static void train(ModelSettings settings, Path trained) throws IOException {
    RunSettings run =
        RunSettings.DEFAULT
            .withModel(m -> m.withModel("llama-shakespeare-cpu").withTokenizer("char"))
            .withData(d -> d.withData(settings.texts()))
            .withBatch(b -> b.withBatchSize(4).withSeqLen(32))
            .withDevice(d -> d.withDevice("cpu").withThreads(settings.threads()))
            .withRun(r -> r.withMaxSteps(settings.steps()).withOutputDir(settings.directory()));
    try (Run training = Run.open(run)) {
      training
          .trainer()
          .watch(new Lines(settings.steps(), LoggerFactory.getLogger(Models.class)::info))
          .run();
      training.model().save(trained);
    }
  }
}
