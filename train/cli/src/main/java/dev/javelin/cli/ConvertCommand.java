package dev.javelin.cli;

import dev.javelin.device.Cpu;
import dev.javelin.nn.Grouping;
import dev.javelin.nn.Precision;
import dev.javelin.train.LanguageModel;
import dev.javelin.train.data.InputException;
import dev.javelin.train.gguf.GgufExport;
import dev.javelin.train.gguf.GgufType;
import dev.javelin.train.tokenizer.Tokenizer;
import java.io.IOException;
import java.io.PrintWriter;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.concurrent.Callable;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Spec;

/** {@code javelin convert}: a model in another type or format. */
@Command(
    name = "convert",
    mixinStandardHelpOptions = true,
    description =
        "Writes a model as another Hugging Face directory, or as a GGUF file for llama.cpp.")
final class ConvertCommand implements Callable<Integer> {
  @Spec private @Nullable CommandSpec spec;

  @Option(
      names = {"--model", "--model-name-or-path"},
      required = true,
      paramLabel = "DIR",
      description = "Hugging Face directory with weights, such as a checkpoint.")
  private Path model = Path.of("");

  @Option(
      names = "--output-dir",
      paramLabel = "DIR",
      description =
          "Directory to write config.json, weights and tokenizer to. Default: none, where --gguf is given.")
  private @Nullable Path outputDir;

  @Option(
      names = "--gguf",
      paramLabel = "FILE",
      description =
          "GGUF file to write, with the tokenizer in it. Default: none, where --output-dir is given.")
  private @Nullable Path gguf;

  @Option(
      names = {"--dtype", "--torch-dtype"},
      paramLabel = "TYPE",
      description =
          "Type of the weights: fp32, bf16 or fp16, and q8_0 for a GGUF file. Default: ${DEFAULT-VALUE}.")
  private String dtype = "bf16";

  @Override
  public Integer call() throws IOException {
    if ((outputDir == null) == (gguf == null)) {
      throw new InputException("name either --output-dir or --gguf");
    }
    if (LanguageModel.isAdapter(model)) {
      throw new InputException(
          "--model %s is an adapter: make a plain model of it first, with javelin merge --adapter %s --output-dir DIR"
              .formatted(model, model));
    }
    List<String> notes = new ArrayList<>();
    PrintWriter out = Main.out(spec);
    if (gguf != null) {
      GgufType type = ggufType();
      try (Cpu cpu = Cpu.open();
          LanguageModel loaded = load(cpu, Precision.FP32, notes)) {
        notes.addAll(GgufExport.write(loaded, name(), type, gguf));
      }
      Main.notes(spec, notes);
      out.printf(Locale.ROOT, "%s: %,d bytes, %s%n", gguf, Files.size(gguf), type.text());
    } else if (outputDir != null) {
      if (Files.exists(outputDir) && Files.isSameFile(outputDir, model)) {
        throw new InputException("--output-dir must be another directory than --model");
      }
      Precision precision = precision();
      try (Cpu cpu = Cpu.open();
          LanguageModel loaded = load(cpu, precision, notes)) {
        loaded.save(outputDir);
      }
      Main.notes(spec, notes);
      out.printf("%s: %s%n", outputDir, precision.name());
    }
    return Main.OK;
  }

  private LanguageModel load(Cpu cpu, Precision precision, List<String> notes) {
    return LanguageModel.load(
        cpu,
        model,
        LanguageModel.readConfig(model, notes::add),
        precision,
        Grouping.frozen(),
        LanguageModel.hasTokenizer(model) ? Tokenizer.load(model) : null);
  }

  private String name() {
    Path last = model.toAbsolutePath().normalize().getFileName();
    return last == null ? "model" : last.toString();
  }

  /** fp32, bf16 or fp16 in one of the spellings in use; others as they are. */
  private String type() {
    return switch (dtype.toLowerCase(Locale.ROOT)) {
      case "f32", "float32" -> "fp32";
      case "bfloat16" -> "bf16";
      case "f16", "float16" -> "fp16";
      case String other -> other;
    };
  }

  private Precision precision() {
    if (!List.of("fp32", "bf16", "fp16").contains(type())) {
      throw new InputException("--dtype must be fp32, bf16 or fp16 for a directory, got " + dtype);
    }
    return Precision.named(type());
  }

  private GgufType ggufType() {
    return switch (type()) {
      case "fp32" -> GgufType.F32;
      case "bf16" -> GgufType.BF16;
      case "fp16" -> GgufType.F16;
      case "q8_0" -> GgufType.Q8_0;
      default -> throw new InputException("--dtype must be fp32, bf16, fp16 or q8_0, got " + dtype);
    };
  }
}
