package dev.javelin.train.monitor;

import dev.javelin.tensor.io.Json;
import dev.javelin.train.eval.Evaluation;
import java.io.IOException;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.function.Consumer;
import java.util.function.Supplier;
import org.jspecify.annotations.Nullable;

/**
 * {@code texts.jsonl}: texts that the model writes in the course of its training, an object for
 * each: {@code {"step":200,"prompt":"","text":…}}. A model that cannot write one, for lack of
 * memory or because its logits are no numbers, is not asked again; the run goes on.
 */
public final class TextsFile implements Watcher {
  private final AppendedLines lines;
  private final @Nullable Integer every;
  private final String prompt;
  private final Supplier<String> writer;
  private final Written also;
  private final Consumer<String> log;
  private boolean failed;

  /** Whoever else wants to have the texts. */
  @FunctionalInterface
  public interface Written {
    void text(long step, String text);
  }

  /**
   * @param every steps between texts; {@code null} for one at each evaluation
   * @param writer asked between steps, on the training thread
   * @param log takes a line where there will be no more texts
   * @throws IOException where the file cannot be written, or is a link
   */
  public TextsFile(
      Path file,
      @Nullable Integer every,
      String prompt,
      Supplier<String> writer,
      Written also,
      Consumer<String> log)
      throws IOException {
    this.lines = new AppendedLines(file);
    this.every = every;
    this.prompt = prompt;
    this.writer = writer;
    this.also = also;
    this.log = log;
  }

  @Override
  public void advanced(long step) {
    if (every != null && step % every == 0) {
      write(step);
    }
  }

  @Override
  public void evaluated(long step, Evaluation evaluation) {
    if (every == null && Double.isFinite(evaluation.loss())) {
      write(step);
    }
  }

  private void write(long step) {
    if (failed) {
      return;
    }
    String text;
    try {
      text = writer.get();
    } catch (RuntimeException | OutOfMemoryError e) {
      failed = true;
      log.accept("no more samples of text, the run goes on without: " + e.getMessage());
      return;
    }
    Map<String, Object> line = new LinkedHashMap<>();
    line.put("step", step);
    line.put("prompt", prompt);
    line.put("text", text);
    lines.write(Json.writeCompact(line));
    also.text(step, prompt + text);
  }

  @Override
  public void close() {
    lines.close();
  }
}
