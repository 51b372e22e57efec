package boot;

import dev.javelin.train.inference.Inference;
import dev.javelin.train.inference.Request;
import dev.javelin.train.inference.Sampler;
import org.springframework.boot.ApplicationArguments;
import org.springframework.boot.ApplicationRunner;
import org.springframework.stereotype.Component;

/** Continues the prompts of the command line. */
@Component
class Writer implements ApplicationRunner {
  private final Inference inference;

  Writer(Inference inference) {
    this.inference = inference;
  }

  String write(String prompt) {
    return inference
        .generate(Request.of(prompt).maxNewTokens(40).sampler(new Sampler(0.8, 0, 0.95, 7)))
        .text();
  }

  @Override
  public void run(ApplicationArguments args) {
    for (String prompt : args.getNonOptionArgs()) {
      System.out.println(prompt + write(prompt));
    }
  }
}
