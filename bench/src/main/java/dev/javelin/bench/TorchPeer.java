package dev.javelin.bench;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.BufferedReader;
import java.io.BufferedWriter;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.OptionalDouble;

/** {@code torch_peer.py serve} on the same GPU: PyTorch's time for a case, whenever it is asked. */
final class TorchPeer implements AutoCloseable {
  private final ObjectMapper json = new ObjectMapper();
  private final Process process;
  private final BufferedWriter requests;
  private final BufferedReader answers;
  private final String version;

  /**
   * @param python the interpreter that has torch
   * @param script torch_peer.py
   */
  TorchPeer(String python, Path script) {
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

  /** Milliseconds; empty where PyTorch cannot do it, which it says on standard error. */
  OptionalDouble millis(GpuCase c, long millis) {
    try {
      requests.write("%s %s %d %s%n".formatted(c.bench(), c.name(), millis, c.torchType()));
      requests.flush();
      JsonNode answer = answer(c.bench());
      if (answer.has("error")) {
        System.err.println("PyTorch, " + c + ": " + answer.path("error").asText());
        return OptionalDouble.empty();
      }
      return OptionalDouble.of(answer.path("ms").asDouble());
    } catch (IOException e) {
      throw new UncheckedIOException("PyTorch stopped at " + c, e);
    }
  }

  private JsonNode answer(String bench) throws IOException {
    for (String line = answers.readLine(); line != null; line = answers.readLine()) {
      if (line.startsWith("{")) {
        JsonNode answer = json.readTree(line);
        if (answer.path("bench").asText().equals(bench)) {
          return answer;
        }
      }
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
