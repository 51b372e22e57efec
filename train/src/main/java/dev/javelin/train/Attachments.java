package dev.javelin.train;

import dev.javelin.train.average.Ema;
import dev.javelin.train.guard.Faults;
import dev.javelin.train.health.LayerHealth;
import dev.javelin.train.health.NoiseScale;
import dev.javelin.train.health.StepTrace;
import dev.javelin.train.hook.StepHook;
import dev.javelin.train.monitor.HealthFile;
import dev.javelin.train.settings.MonitorSpec;
import dev.javelin.train.settings.RunSettings;
import dev.javelin.train.xray.XrayHook;
import dev.javelin.train.xray.XrayStep;
import java.nio.file.Path;
import java.util.Objects;
import java.util.Set;
import org.jspecify.annotations.Nullable;

/** The hooks and stop rules that settings ask for, in the order in which they see a step. */
final class Attachments {
  private Attachments() {}

  static void add(Training training, RunSettings settings, @Nullable Faults rehearsal) {
    if (rehearsal != null) {
      training.hook(rehearsal::on).disk(rehearsal.disk());
    }
    StepHook.Maker guard = settings.guard().guarding();
    if (guard != null) {
      training.hook(guard);
    }
    training.maxBadSteps(settings.guard().maxBadSteps());
    Double decay = settings.average().emaDecay();
    if (decay != null) {
      training.hook((parameters, rule) -> new Ema(parameters, decay));
    }
    if (settings.run().outputDir() != null) {
      look(training, settings.monitor(), settings.run().outputDir());
    }
  }

  /** Takes X-rays of a language model; the parts that they read are set already. */
  static void xrays(Training training, LanguageModel model, RunSettings settings) {
    MonitorSpec monitor = settings.monitor();
    Path directory = settings.run().outputDir();
    if (!monitor.xrayAt().isEmpty() && directory != null) {
      XrayStep step = XrayStep.of(model, settings.model().model(), settings);
      String text = Objects.requireNonNullElse(monitor.xrayText(), XrayStep.DEFAULT_TEXT);
      Set<Integer> at = Set.copyOf(monitor.xrayAt());
      training.hook(
          (parameters, rule) -> new XrayHook(step, rule, training.rate, at, text, directory));
    }
  }

  /** What only looks on, for a run that has a directory to write into. */
  private static void look(Training training, MonitorSpec monitor, Path directory) {
    int every = monitor.healthEvery() == null ? training.logEvery : monitor.healthEvery();
    if (every > 0) {
      Path file = directory.resolve(HealthFile.NAME);
      training.hook((parameters, rule) -> new LayerHealth(parameters, rule, every, file));
    }
    if (monitor.noiseScale() && training.parts * training.ranks.world() > 1) {
      training.hook(
          (parameters, rule) ->
              new NoiseScale(parameters, training.source, training.rows, training.ranks));
    }
    Integer traced = monitor.traceStep();
    if (traced != null) {
      training.hook((parameters, rule) -> new StepTrace(traced, directory));
    }
  }
}
