package dev.javelin.cli;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HexFormat;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.stream.Stream;

/** A model and a text so small that a training takes a second. */
final class Tiny {
  static final String LLAMA =
      """
      {"architectures": ["LlamaForCausalLM"], "model_type": "llama", "hidden_size": 32,
       "intermediate_size": 48, "num_hidden_layers": 2, "num_attention_heads": 4,
       "num_key_value_heads": 2, "max_position_embeddings": 32, "vocab_size": 256,
       "rms_norm_eps": 1e-5, "rope_theta": 10000.0, "hidden_act": "silu",
       "tie_word_embeddings": true, "bos_token_id": 0, "eos_token_id": 0}
      """;

  private Tiny() {}

  /** A directory with a configuration only: initialised from the seed. */
  static Path model(Path parent) {
    return write(parent.resolve("model").resolve("config.json"), LLAMA).resolveSibling("");
  }

  /** 4,000 bytes of text with something to learn. */
  static Path text(Path parent) {
    StringBuilder text = new StringBuilder();
    for (int i = 0; text.length() < 4000; i++) {
      text.append("line ").append(i * 7919 % 1000).append(": the quick brown fox jumps.\n");
    }
    return write(parent.resolve("text.txt"), text.toString());
  }

  /** That text as {@code text}, {@code jsonl}, {@code csv}, {@code prepared} or {@code tokens}. */
  static Path data(Path parent, String kind) throws IOException {
    Path text = text(parent);
    List<String> lines = Files.readAllLines(text);
    return switch (kind) {
      case "text" -> text;
      case "jsonl" -> {
        String json = "{\"text\": \"%s\"}\n";
        StringBuilder all = new StringBuilder();
        lines.forEach(line -> all.append(json.formatted(line)));
        yield write(parent.resolve("data.jsonl"), all.toString());
      }
      case "csv" -> write(parent.resolve("data.csv"), "text\n" + String.join("\n", lines) + "\n");
      case "prepared" -> {
        Path prepared = parent.resolve("prepared");
        String[] prepare = {
          "prepare", "--data=" + text, "--tokenizer=byte", "--output-dir=" + prepared
        };
        if (!Files.exists(prepared) && CommandLineTest.run(prepare).exit() != 0) {
          throw new AssertionError("prepare has failed");
        }
        yield prepared;
      }
      case "tokens" -> {
        byte[] bytes = Files.readAllBytes(text);
        byte[] ids = new byte[2 * bytes.length];
        for (int i = 0; i < bytes.length; i++) {
          ids[2 * i] = bytes[i];
        }
        yield Files.write(parent.resolve("tokens.bin"), ids);
      }
      default -> throw new IllegalArgumentException(kind);
    };
  }

  /** Flags of a short run of the tiny model on the tiny text. */
  static List<String> flags(Path parent, Path output, String... more) {
    List<String> flags =
        new ArrayList<>(
            List.of(
                "train",
                "--model=" + model(parent),
                "--tokenizer=byte",
                "--seq-len=16",
                "--batch-size=4",
                "--max-steps=12",
                "--warmup-steps=3",
                "--learning-rate=0.01",
                "--logging-steps=1",
                "--threads=1",
                "--quiet",
                "--output-dir=" + output));
    if (Arrays.stream(more).noneMatch(flag -> flag.startsWith("--data"))) {
      flags.add("--data=" + text(parent));
    }
    flags.addAll(Arrays.asList(more));
    return flags;
  }

  /** Runs {@code javelin train} with the tiny model and text, logs each step, and says no more. */
  static CommandLineTest.Result bare(Path parent, Path output, String... more) {
    List<String> flags =
        new ArrayList<>(
            List.of(
                "train",
                "--model=" + model(parent),
                "--data=" + text(parent),
                "--tokenizer=byte",
                "--logging-steps=1",
                "--threads=1",
                "--quiet",
                "--output-dir=" + output));
    flags.addAll(Arrays.asList(more));
    return CommandLineTest.run(flags.toArray(new String[0]));
  }

  /** Runs {@code javelin train} in this process. */
  static CommandLineTest.Result train(Path parent, Path output, String... more) {
    return CommandLineTest.run(flags(parent, output, more).toArray(new String[0]));
  }

  /** A digest of the files of a checkpoint that carry numbers, by name. */
  static Map<String, String> numbers(Path checkpoint) throws IOException {
    Map<String, String> digests = new TreeMap<>();
    try (Stream<Path> paths = Files.list(checkpoint)) {
      for (Path file : paths.filter(p -> p.toString().endsWith(".safetensors")).toList()) {
        byte[] hash = MessageDigest.getInstance("SHA-256").digest(Files.readAllBytes(file));
        digests.put(file.getFileName().toString(), HexFormat.of().formatHex(hash));
      }
    } catch (NoSuchAlgorithmException e) {
      throw new AssertionError(e);
    }
    return digests;
  }

  private static Path write(Path file, String text) {
    try {
      Files.createDirectories(file.getParent());
      return Files.writeString(file, text);
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }
}
