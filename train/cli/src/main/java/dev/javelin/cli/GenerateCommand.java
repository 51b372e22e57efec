package dev.javelin.cli;

import static java.nio.charset.StandardCharsets.UTF_8;

import dev.javelin.tensor.io.Json;
import dev.javelin.train.LanguageModel;
import dev.javelin.train.chat.ChatTemplate;
import dev.javelin.train.chat.Conversation;
import dev.javelin.train.data.InputException;
import dev.javelin.train.inference.Inference;
import dev.javelin.train.inference.PromptRow;
import dev.javelin.train.inference.PromptRows;
import dev.javelin.train.inference.Reply;
import dev.javelin.train.inference.Request;
import dev.javelin.train.tokenizer.Tokenizer;
import java.io.IOException;
import java.io.InputStream;
import java.io.PrintWriter;
import java.io.UncheckedIOException;
import java.io.Writer;
import java.nio.ByteBuffer;
import java.nio.charset.CharacterCodingException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.concurrent.Callable;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Spec;

@Command(
    name = "generate",
    mixinStandardHelpOptions = true,
    description = "Continues a prompt, or many, with text from a trained model.")
final class GenerateCommand implements Callable<Integer> {
  private static final String STDIN = "-";
  private static final int MOST_BYTES = 1 << 28;
  private static final int MOST_AT_ONCE = 1024;

  @Spec private @Nullable CommandSpec spec;
  @Mixin private ModelOptions model = new ModelOptions();

  @Option(
      names = "--prompt",
      paramLabel = "TEXT",
      description =
          "Text to continue; may be repeated; - reads it from standard input. Default: the empty text.")
  private List<String> prompts = List.of();

  @Option(
      names = "--prompt-file",
      paramLabel = "FILE",
      description = "UTF-8 file with the text to continue, instead of --prompt. Default: none.")
  private @Nullable Path promptFile;

  @Option(
      names = "--prompts",
      paramLabel = "FILE",
      description =
          "UTF-8 file, or - for standard input, with a prompt in each line; or JSONL with \"prompt\" or \"messages\" in each row, and options of its own such as \"max_new_tokens\", \"temperature\", \"stop\" or \"seed\". Default: none.")
  private @Nullable Path promptsFile;

  @Option(
      names = "--output",
      paramLabel = "FILE",
      description =
          "New JSONL file for the replies, in the order of the prompts. Default: standard output.")
  private @Nullable Path output;

  @Option(
      names = "--batch-size",
      paramLabel = "N",
      description =
          "Prompts that are continued at the same time; the texts do not depend on it. Default: ${DEFAULT-VALUE}.")
  private int batchSize = 8;

  @Mixin private TemplateOption template = new TemplateOption();
  @Mixin private SamplingOptions sampling = new SamplingOptions();

  private boolean json; // whether replies are written as JSONL

  @Override
  public Integer call() throws IOException {
    if (batchSize < 1 || batchSize > MOST_AT_ONCE) {
      throw new InputException(
          "--batch-size must lie between 1 and " + MOST_AT_ONCE + ", got " + batchSize);
    }
    List<PromptRow> rows = rows(sampling.request());
    json |= output != null;
    if (output != null && Files.exists(output)) {
      throw new InputException(output + " exists: name a new file, or remove it");
    }
    List<String> others = json ? List.copyOf(PromptRows.otherKeys(rows)) : List.of();
    if (!others.isEmpty()) {
      Main.notes(
          spec,
          List.of(
              "keys that are no options are copied to the output: " + String.join(", ", others)));
    }
    model.load(
        spec,
        (loaded, tokenizer) -> {
          if (rows.size() == 1 && !json) {
            stream(loaded, rows.getFirst());
          } else {
            all(loaded, tokenizer, rows);
          }
        });
    return Main.OK;
  }

  private void stream(LanguageModel loaded, PromptRow row) {
    PrintWriter out = Main.out(spec);
    try (Inference inference = loaded.inference()) {
      out.print(row.request().prompt());
      out.flush();
      Reply reply =
          inference.generate(
              row.request(),
              piece -> {
                out.print(Terminal.text(piece));
                out.flush();
              });
      out.println();
      out.flush();
      sayForgotten(loaded, row, reply);
    }
  }

  private void all(LanguageModel loaded, Tokenizer tokenizer, List<PromptRow> rows)
      throws IOException {
    ChatTemplate chat =
        rows.stream().anyMatch(r -> r.conversation() != null) ? template.of(tokenizer) : null;
    try (Inference inference =
            chat == null ? loaded.inference() : TemplateOption.inference(loaded, tokenizer, chat);
        Writer file =
            output == null
                ? Writer.nullWriter()
                : Files.newBufferedWriter(output, UTF_8, StandardOpenOption.CREATE_NEW)) {
      List<int[]> ids = new ArrayList<>();
      for (PromptRow row : rows) {
        Conversation conversation = row.conversation();
        try {
          ids.add(
              conversation == null || chat == null
                  ? inference.tokens(row.request().prompt())
                  : chat.prompt(conversation, tokenizer));
        } catch (IllegalArgumentException | InputException e) {
          throw new InputException(row.place() + ": " + e.getMessage(), e);
        }
      }
      Map<Integer, Reply> early = new TreeMap<>();
      int[] next = {0};
      inference.generate(
          ids,
          rows.stream().map(PromptRow::request).toList(),
          batchSize,
          (number, reply) -> {
            early.put(number, reply);
            for (Reply r; (r = early.remove(next[0])) != null; next[0]++) {
              write(file, rows.get(next[0]), r, next[0] > 0);
              sayForgotten(loaded, rows.get(next[0]), r);
            }
          });
    }
  }

  private void write(Writer file, PromptRow row, Reply reply, boolean behindOthers) {
    PrintWriter out = Main.out(spec);
    String line = json ? Json.writeCompact(row.with(reply)) : "";
    if (output != null) {
      try {
        file.write(line + "\n");
        file.flush();
      } catch (IOException e) {
        throw new UncheckedIOException(e);
      }
    } else if (json) {
      out.println(line);
    } else {
      out.print(behindOthers ? "---\n" : "");
      out.println(row.request().prompt() + Terminal.text(reply.text()));
    }
    out.flush();
  }

  private void sayForgotten(LanguageModel loaded, PromptRow row, Reply reply) {
    if (reply.forgotten() > 0) {
      Main.notes(
          spec,
          List.of(
              "%s: the first %d tokens were forgotten, since the model has %d positions"
                  .formatted(row.place(), reply.forgotten(), loaded.config().positions())));
    }
  }

  private List<PromptRow> rows(Request options) throws IOException {
    if ((prompts.isEmpty() ? 0 : 1) + (promptFile == null ? 0 : 1) + (promptsFile == null ? 0 : 1)
        > 1) {
      throw new InputException(
          "--prompt, --prompt-file and --prompts all say what to continue: give one");
    }
    if (promptsFile != null) {
      boolean stdin = promptsFile.toString().equals(STDIN);
      byte[] content = stdin ? bytes("standard input", System.in) : bytes(promptsFile);
      json = PromptRows.isJson(content);
      return PromptRows.read(stdin ? Path.of("standard input") : promptsFile, content, options);
    }
    if (promptFile != null) {
      return PromptRows.of(List.of(utf8(promptFile.toString(), bytes(promptFile))), options);
    }
    if (prompts.equals(List.of(STDIN))) {
      String source = "standard input";
      return PromptRows.of(List.of(utf8(source, bytes(source, System.in))), options);
    }
    return PromptRows.of(prompts.isEmpty() ? List.of("") : prompts, options);
  }

  private static byte[] bytes(Path file) throws IOException {
    try (InputStream in = Files.newInputStream(file)) {
      return bytes(file.toString(), in);
    }
  }

  private static byte[] bytes(String source, InputStream in) throws IOException {
    byte[] bytes = in.readNBytes(MOST_BYTES + 1);
    if (bytes.length > MOST_BYTES) {
      throw new InputException(source + " is larger than 256 MiB: split it");
    }
    return bytes;
  }

  /** The text as it is, without a byte order mark. */
  private static String utf8(String source, byte[] bytes) {
    try {
      String text = UTF_8.newDecoder().decode(ByteBuffer.wrap(bytes)).toString();
      return text.startsWith("\uFEFF") ? text.substring(1) : text;
    } catch (CharacterCodingException e) {
      throw new InputException(source + ": is not UTF-8 text: convert it with iconv", e);
    }
  }
}
