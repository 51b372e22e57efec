package dev.javelin.cli;

import static java.nio.charset.StandardCharsets.UTF_8;

import dev.javelin.train.LanguageModel;
import dev.javelin.train.chat.ChatTemplate;
import dev.javelin.train.data.InputException;
import dev.javelin.train.inference.Chat;
import dev.javelin.train.inference.Inference;
import dev.javelin.train.inference.Reply;
import dev.javelin.train.inference.Reply.Finish;
import dev.javelin.train.inference.Request;
import dev.javelin.train.tokenizer.Tokenizer;
import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;
import java.io.PrintWriter;
import java.util.List;
import java.util.concurrent.Callable;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Spec;

@Command(
    name = "chat",
    mixinStandardHelpOptions = true,
    description =
        "Talks with a model: each line of standard input is a message. /reset begins anew, /exit ends.")
final class ChatCommand implements Callable<Integer> {
  @Spec private @Nullable CommandSpec spec;
  @Mixin private ModelOptions model = new ModelOptions();

  @Option(
      names = "--system",
      paramLabel = "TEXT",
      description = "What the model is told before the first message. Default: nothing.")
  private @Nullable String system;

  @Mixin private TemplateOption template = new TemplateOption();
  @Mixin private SamplingOptions sampling = new SamplingOptions();

  @Override
  public Integer call() throws IOException {
    Request options = sampling.request();
    model.load(spec, (loaded, tokenizer) -> talk(loaded, tokenizer, options));
    return Main.OK;
  }

  private void talk(LanguageModel loaded, Tokenizer tokenizer, Request options) throws IOException {
    ChatTemplate written = template.of(tokenizer);
    int positions = loaded.config().positions();
    BufferedReader in = new BufferedReader(new InputStreamReader(System.in, UTF_8));
    try (Inference inference = TemplateOption.inference(loaded, tokenizer, written);
        Chat chat =
            new Chat(inference, c -> written.prompt(c, tokenizer), positions, system, options)) {
      if (Terminal.isInteractive()) {
        note("/reset begins a new conversation, /exit ends it");
      }
      for (String line; (line = next(in)) != null; ) {
        switch (line.strip()) {
          case "" -> {}
          case "/exit", "/quit" -> {
            return;
          }
          case "/reset" -> {
            chat.reset();
            note("a new conversation");
          }
          case String s when s.startsWith("/") && !s.startsWith("//") ->
              note(
                  s + " is no command: /reset or /exit; a message that begins so needs a second /");
          case String s when s.startsWith("//") -> say(chat, s.substring(1), positions);
          default -> say(chat, line, positions);
        }
      }
    }
  }

  private @Nullable String next(BufferedReader in) throws IOException {
    if (Terminal.isInteractive()) {
      Main.out(spec).print("> ");
      Main.out(spec).flush();
    }
    return in.readLine();
  }

  private void say(Chat chat, String message, int positions) {
    PrintWriter out = Main.out(spec);
    try {
      Reply reply =
          chat.say(
              message,
              leftOut ->
                  note(
                      "the oldest %d messages are left out from here on: the model has %d positions"
                          .formatted(leftOut, positions)),
              piece -> {
                out.print(Terminal.text(piece));
                out.flush();
              });
      out.println();
      out.flush();
      if (reply.finish() == Finish.LENGTH) {
        note("the answer was cut after %d tokens".formatted(reply.ids().size()));
      }
    } catch (InputException e) {
      note(String.valueOf(e.getMessage())); // the conversation goes on without it
    }
  }

  private void note(String text) {
    Main.notes(spec, List.of(text));
  }
}
