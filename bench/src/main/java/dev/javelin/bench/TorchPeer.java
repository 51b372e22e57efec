package dev.javelin.bench;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.BufferedReader;
import java.io.BufferedWriter;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.Optional;
import java.util.OptionalDouble;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;
import org.jspecify.annotations.Nullable;

/** {@code torch_peer.py serve} on the same GPU: PyTorch's time for a case, whenever it is asked. */
final class TorchPeer implements AutoCloseable {
  static final long LIMIT_SECONDS = 300; // compiling a model's step takes minutes

  private final ObjectMapper json = new ObjectMapper();
  private final Process process;
  private final BufferedWriter requests;
  private final BufferedReader answers;
  private final String version;
  private final long limitSeconds;
  private @Nullable String ended;

  /**
   * @param python the interpreter that has torch
   * @param script torch_peer.py
   * @param limitSeconds how long an answer may take; who takes longer is ended
   */
  TorchPeer(String python, Path script, long limitSeconds) {
    this.limitSeconds = limitSeconds;
    try {
      process =
          new ProcessBuilder(python, script.toString(), "serve", "--device", "cuda")
              .redirectError(ProcessBuilder.Redirect.INHERIT)
              .start();
      requests = process.outputWriter(StandardCharsets.UTF_8);
      answers = process.inputReader(StandardCharsets.UTF_8);
      version = answer("env").path("torch").asText();
    } catch (IOException e) {
      throw new UncheckedIOException(python + " does not start", e);
    }
  }

  String version() {
    return version;
  }

  /** Milliseconds, or why there are none. */
  record Answer(OptionalDouble millis, Optional<String> error) {
    private static Answer none(String reason) {
      return new Answer(OptionalDouble.empty(), Optional.of(reason));
    }
  }

  /** PyTorch's time in one of {@link GpuCase#torchVariants}. */
  Answer millis(GpuCase c, String variant, long millis) {
    if (ended != null) {
      return Answer.none(ended);
    }
    try {
      requests.write(
          "%s %s %d %s %s%n".formatted(c.bench(), c.name(), millis, c.torchType(), variant));
      requests.flush();
      JsonNode answer = answer(c.bench());
      return answer.has("error")
          ? Answer.none(answer.path("error").asText())
          : new Answer(OptionalDouble.of(answer.path("ms").asDouble()), Optional.empty());
    } catch (IOException e) {
      ended = "PyTorch stopped at " + c + ": " + e.getMessage();
      return Answer.none(ended);
    }
  }

  private JsonNode answer(String bench) throws IOException {
    CompletableFuture<Void> tooLate =
        CompletableFuture.runAsync(
            process::destroyForcibly,
            CompletableFuture.delayedExecutor(limitSeconds, TimeUnit.SECONDS));
    try {
      for (String line = answers.readLine(); line != null; line = answers.readLine()) {
        if (line.startsWith("{")) {
          JsonNode answer = json.readTree(line);
          if (answer.path("bench").asText().equals(bench)) {
            return answer;
          }
        }
      }
    } finally {
      tooLate.cancel(false);
    }
    throw new IOException("no answer to " + bench);
  }

  @Override
  public void close() {
    try {
      requests.close(); // the end of its input is the end of it
    } catch (IOException e) {
      process.destroy();
    }
  }
}
