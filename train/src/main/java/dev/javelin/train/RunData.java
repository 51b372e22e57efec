package dev.javelin.train;

import dev.javelin.train.chat.ChatData;
import dev.javelin.train.chat.ChatTemplate;
import dev.javelin.train.chat.TemplateFiles;
import dev.javelin.train.data.AnswerPairs;
import dev.javelin.train.data.Dataset;
import dev.javelin.train.data.InputException;
import dev.javelin.train.data.Separator;
import dev.javelin.train.data.TokenSource;
import dev.javelin.train.settings.DataSpec;
import dev.javelin.train.settings.RunSettings;
import dev.javelin.train.tokenizer.Tokenizer;
import java.util.ArrayList;
import java.util.List;
import java.util.function.Consumer;
import org.jspecify.annotations.Nullable;

/**
 * The data of a run: text, tokens, or conversations.
 *
 * @param template that wrote conversations and did not come with the tokenizer: it is saved with
 *     the model; null where there is none
 */
record RunData(Dataset data, @Nullable ChatTemplate template) {

  /**
   * Reads them, and keeps a part for validation.
   *
   * @param tokenizer name or directory, null for that of a token file
   * @param separator what ends documents of text where a run resumes
   */
  static RunData open(
      RunSettings config,
      @Nullable String tokenizer,
      @Nullable Separator separator,
      Consumer<String> notes) {
    DataSpec spec = config.data();
    double fraction = spec.valFraction() == null ? 0 : spec.valFraction();
    boolean mayBeChats = !spec.data().isEmpty() && !Dataset.holdsTokens(spec.data());
    ChatData chats = mayBeChats ? ChatData.find(spec.data(), spec.chat()) : null;
    RunData read =
        chats != null
            ? ofChats(chats, config, fraction, tokenizer, separator)
            : new RunData(
                Dataset.open(
                    spec.data(),
                    spec.valData(),
                    fraction,
                    tokenizer,
                    spec.column(),
                    separator,
                    spec.parseSpecialTokens()),
                null);
    Dataset data = read.data();
    if (spec.fold() != null && data.validation() == null) {
      return new RunData(data.fold(spec.fold(), config.batch().seqLen()), read.template());
    }
    if (spec.valFraction() != null || data.validation() != null) {
      return read;
    }
    Dataset kept = data.keep(DataSpec.DEFAULT_VAL_FRACTION, config.batch().seqLen());
    if (!spec.data().isEmpty()) {
      notes.accept(
          kept == data
              ? "no validation: a tenth of --data would be shorter than %s; --val-data names other data"
                  .formatted(data.train().isText() ? "a sequence" : "an example")
              : "the last tenth of --data is kept for validation; --val-fraction 0 trains on all of it");
    }
    return new RunData(kept, read.template());
  }

  private static RunData ofChats(
      ChatData chats,
      RunSettings config,
      double fraction,
      @Nullable String tokenizerName,
      @Nullable Separator separator) {
    DataSpec spec = config.data();
    if (tokenizerName == null) {
      throw new InputException(
          chats.files().name() + " is text: name a tokenizer with --tokenizer byte or a directory");
    }
    Tokenizer tokenizer = chats.tokenizer(tokenizerName);
    ChatData.Read read = read(chats, tokenizer, config);
    List<String> notes = new ArrayList<>(read.notes());
    Separator end = separator == null ? Separator.of(tokenizer) : separator;
    boolean own = spec.template() == null && TemplateFiles.of(tokenizer) != null;
    ChatTemplate template = own ? null : read.template();
    if (spec.valData().isEmpty()) {
      return new RunData(Dataset.split(read.source(), fraction, tokenizer, end, notes), template);
    }
    ChatData held = ChatData.find(spec.valData(), spec.chat());
    if (held == null) {
      throw new InputException(
          "--val-data is text and --data are conversations: give conversations for both");
    }
    ChatData.Read validation = read(held, tokenizer, config);
    notes.addAll(validation.notes());
    TokenSource heldOut = validation.source();
    return new RunData(new Dataset(read.source(), heldOut, tokenizer, end, notes), template);
  }

  /** Conversations, or preferences where the objective is about them. */
  private static ChatData.Read read(ChatData chats, Tokenizer tokenizer, RunSettings config) {
    if (!Objectives.readsPairs(config.objective().objective())) {
      return chats.read(tokenizer);
    }
    ChatData.Pairs pairs = chats.readPairs(tokenizer);
    return new ChatData.Read(
        new AnswerPairs(pairs.chosen(), pairs.rejected()), pairs.template(), pairs.notes());
  }
}
