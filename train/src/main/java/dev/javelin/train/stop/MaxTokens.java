package dev.javelin.train.stop;

import dev.javelin.train.hook.Progress;
import dev.javelin.train.hook.StopRule;
import java.util.Locale;
import org.jspecify.annotations.Nullable;

/** Ends a run that has seen so many target tokens; the trainer counts them. */
public record MaxTokens(long most) implements StopRule {
  @Override
  public @Nullable String reason(Progress now) {
    return now.tokens() < most
        ? null
        : String.format(Locale.ROOT, "%,d tokens are seen (--max-tokens %d)", now.tokens(), most);
  }

  @Override
  public String name() {
    return "max_tokens";
  }
}
