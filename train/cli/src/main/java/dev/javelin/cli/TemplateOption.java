package dev.javelin.cli;

import dev.javelin.train.LanguageModel;
import dev.javelin.train.chat.ChatTemplate;
import dev.javelin.train.chat.TemplateFiles;
import dev.javelin.train.data.InputException;
import dev.javelin.train.inference.Inference;
import dev.javelin.train.tokenizer.Tokenizer;
import java.util.HashSet;
import java.util.Set;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Option;

/** How conversations are written for a model. */
final class TemplateOption {
  @Option(
      names = {"--template", "--chat-template"},
      paramLabel = "NAME|FILE",
      description =
          "Chat template: chatml, llama2, llama3, mistral, gemma, phi3, alpaca, zephyr, one of the model's by its name, or a Jinja file. Default: the model's own.")
  private @Nullable String template;

  ChatTemplate of(Tokenizer tokenizer) {
    ChatTemplate found =
        template == null ? TemplateFiles.of(tokenizer) : TemplateFiles.named(template, tokenizer);
    if (found == null) {
      throw new InputException(
          "the model has no chat template: choose one with --template ("
              + TemplateFiles.builtIn()
              + ")");
    }
    return found;
  }

  /** One whose texts end with the assistant's turn too. */
  static Inference inference(LanguageModel model, Tokenizer tokenizer, ChatTemplate template) {
    Set<Integer> ends = new HashSet<>(model.endTokens());
    template.endOfTurn(tokenizer).ifPresent(ends::add);
    return new Inference(model.parameters(), tokenizer, ends);
  }
}
