package dev.javelin.bench;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import dev.javelin.device.Cuda;
import dev.javelin.device.DType;
import dev.javelin.kernels.BundledKernels;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Locale;
import java.util.Optional;
import java.util.stream.Stream;

/**
 * The table of what each benchmarked case asks of a card and how long it takes at least: {@code
 * docs/kernels/predicted.md}. Cases, bytes and FLOPs are those of {@link GpuCase}; measured times
 * are read from what {@code bench/gpu/run.sh} left in {@code bench/results}.
 *
 * <pre>java … dev.javelin.bench.Predict REPOSITORY</pre>
 */
public final class Predict {
  static final String LAUNCHES = "## Launches";

  static final String TABLE = "docs/kernels/predicted.md";

  private final StringBuilder text = new StringBuilder();
  private final List<JsonNode> results;

  private Predict(List<JsonNode> results) {
    this.results = results;
  }

  public static void main(String[] args) throws IOException {
    Path root = Path.of(args[0]);
    try (Cuda cuda = Cuda.emulated(new BundledKernels())) {
      Files.writeString(root.resolve(TABLE), table(root) + launches(cuda));
    }
  }

  /** The page up to {@link #launches}: what follows from the code of this module. */
  static String table(Path root) throws IOException {
    Predict predict = new Predict(results(root.resolve("bench/results")));
    predict.head();
    predict.cases();
    for (String model : List.of("gpt2-124m-32x1024", "llama-1b-8x1024")) {
      predict.step(model);
    }
    return predict.text + PipelinePage.text(root);
  }

  private static List<JsonNode> results(Path folder) throws IOException {
    if (!Files.isDirectory(folder)) {
      return List.of();
    }
    try (Stream<Path> files = Files.walk(folder)) {
      ObjectMapper json = new ObjectMapper();
      return files
          .filter(f -> f.toString().endsWith(".json"))
          .sorted()
          .<JsonNode>mapMulti(
              (file, sink) -> {
                try {
                  sink.accept(json.readTree(file.toFile()));
                } catch (IOException e) {
                  throw new IllegalStateException("not a result of run.sh: " + file, e);
                }
              })
          .filter(r -> r.has("rows") && !r.path("emulated").asBoolean())
          .toList();
    }
  }

  private void head() {
    line("# Predicted times");
    line("");
    line("**Not measured**: a card's times are in a column of their own, where there are any.");
    line(
        "Written by `bench/predict.sh`; a test holds it against the code. First floors on three cards, then");
    line(
        "the times that a model of pipelines expects on an H200, and how well it does on public kernels.");
    line("");
    line("For each case of `bench/gpu/run.sh`: what its kernels move to and from memory if every");
    line("operand is moved once per kernel, what they compute, and the time below which no kernel");
    line("can be on a card with these ceilings: the largest of bytes, tensor core FLOPs and other");
    line(
        "FLOPs, each over its ceiling. Left out: launches (a microsecond or two each in a graph),");
    line(
        "what stays in the L2 cache between kernels (small cases can be faster than said), special");
    line(
        "functions, and shared memory. Attention is causal; its backward counts the 7 products of our");
    line(
        "kernels on `mma.sync` (8 where heads are wider than 128) where the mathematics has 5, as on 9.0.");
    line("");
    line("| card | GB/s | tensor TFLOP/s | fp32 TFLOP/s | sources |");
    line("|---|---|---|---|---|");
    for (Card c : Card.ALL) {
      line(
          String.format(
              Locale.ROOT,
              "| %s | %.0f | %s | %s | %s |",
              c.name(),
              c.gigabytesPerSecond(),
              plain(c.tensorTeraflops()),
              plain(c.teraflops()),
              c.sources()));
    }
    line("");
  }

  private void cases() {
    StringBuilder head = new StringBuilder("| case | MB | GFLOP | bound on H200 |");
    Card.ALL.forEach(c -> head.append(' ').append(c.name()).append(" ms |"));
    line("## Cases");
    line("");
    line(head + " measured |");
    line("|---|---|---|---|" + "---|".repeat(Card.ALL.size()) + "---|");
    for (GpuCase c : GpuCase.forGpu()) {
      Cost cost = c.cost();
      if (!cost.equals(Cost.NONE)) {
        String bound = c.parts().size() > 1 ? "each kernel its own" : bound(cost);
        StringBuilder row =
            new StringBuilder(
                "| %s | %s | %s | %s |"
                    .formatted(c, plain(cost.bytes() / 1e6), plain(cost.allFlops() / 1e9), bound));
        for (Card card : Card.ALL) {
          row.append(' ').append(plain(c.predictedMillis(card))).append(" |");
        }
        line(row + " " + measured(c) + " |");
      }
    }
    line("");
  }

  private static String bound(Cost cost) {
    return Card.ALL.getFirst().bound(cost);
  }

  /** The newest time on each card. */
  private String measured(GpuCase c) {
    StringBuilder found = new StringBuilder();
    for (Card card : Card.ALL) {
      Optional<Double> ms =
          results.stream()
              .filter(r -> r.path("device").asText().contains(card.name()))
              .flatMap(r -> r.path("rows").valueStream())
              .filter(r -> isOf(r, c) && r.has("javelin_ms"))
              .map(r -> r.path("javelin_ms").asDouble())
              .reduce((before, later) -> later);
      ms.ifPresent(
          t ->
              found
                  .append(found.isEmpty() ? "" : ", ")
                  .append(plain(t))
                  .append(" (")
                  .append(card.name())
                  .append(')'));
    }
    return found.isEmpty() ? "not measured" : found.toString();
  }

  private static boolean isOf(JsonNode row, GpuCase c) {
    return row.path("bench").asText().equals(c.bench())
        && row.path("case").asText().equals(c.name())
        && row.path("dtype").asText().equals(c.torchType());
  }

  private void step(String name) {
    ModelCase c = ModelCase.parse(name);
    List<StepCost.Part> parts = StepCost.of(c, DType.BF16);
    double flopsPerStep = c.flopsPerToken() * c.tokens();
    line(String.format(Locale.ROOT, "## A step of %s, bf16", name));
    line("");
    line("| operator | times | MB each | GFLOP each | bound on H200 |" + cards(" ms in all |"));
    line("|---|---|---|---|---|" + "---|".repeat(Card.ALL.size()));
    for (StepCost.Part p : parts) {
      StringBuilder row =
          new StringBuilder(
              "| %s | %d | %s | %s | %s |"
                  .formatted(
                      p.what(),
                      p.times(),
                      plain(p.each().bytes() / 1e6),
                      plain(p.each().allFlops() / 1e9),
                      bound(p.each())));
      for (Card card : Card.ALL) {
        row.append(' ').append(plain(p.times() * card.millis(p.each()))).append(" |");
      }
      line(row.toString());
    }
    Cost sum = StepCost.sum(parts);
    StringBuilder total =
        new StringBuilder(
            "| **step** | %d | %s in all | %s in all | |"
                .formatted(
                    parts.stream().mapToInt(StepCost.Part::times).sum(),
                    plain(sum.bytes() / 1e6),
                    plain(sum.allFlops() / 1e9)));
    StringBuilder speed = new StringBuilder();
    for (Card card : Card.ALL) {
      double ms = StepCost.millis(parts, card);
      total.append(" **").append(plain(ms)).append("** |");
      speed
          .append(speed.isEmpty() ? "" : "; ")
          .append(
              "%s %s thousand tokens/s, %s TFLOP/s"
                  .formatted(card.name(), plain(c.tokens() / ms), plain(flopsPerStep / ms / 1e9)));
    }
    line(total.toString());
    line("");
    line(
        String.format(
            Locale.ROOT,
            "At most, with FLOPs counted as in PaLM's appendix B (6·N + 12·L·C·T a token):%n%s.",
            speed));
    line("");
  }

  /** Kernels of a step, counted where the emulated device launches them. */
  static String launches(Cuda cuda) {
    Predict page = new Predict(List.of());
    page.line(LAUNCHES);
    page.line("");
    page.line(
        "Kernels of a step in bf16, counted on the emulated device (a test counts them again), in models");
    page.line(
        "of small widths. A product whose k is cut into parts has one more, for their sum, and the head has");
    page.line("4 for each further chunk of rows.");
    page.line("");
    page.line("| architecture | in each layer | besides | 12 layers |");
    page.line("|---|---|---|---|");
    for (boolean gpt2 : new boolean[] {true, false}) {
      long two = launches(cuda, ModelCase.tiny(gpt2, 2));
      long layer = launches(cuda, ModelCase.tiny(gpt2, 3)) - two;
      long besides = two - 2 * layer;
      page.line(
          String.format(
              Locale.ROOT,
              "| %s | %d | %d | %d |",
              gpt2 ? "GPT-2" : "Llama",
              layer,
              besides,
              besides + 12 * layer));
    }
    return page.text.toString();
  }

  private static long launches(Cuda cuda, ModelCase c) {
    try (Operands operands = Operands.on(cuda, DType.BF16);
        TrainStep step = new TrainStep(c, operands)) {
      long before = cuda.launches();
      step.run();
      return cuda.launches() - before;
    }
  }

  private static String cards(String ending) {
    StringBuilder heads = new StringBuilder();
    Card.ALL.forEach(c -> heads.append(' ').append(c.name()).append(ending));
    return heads.toString();
  }

  /** Three digits, without an exponent. */
  private static String plain(double value) {
    int decimals = value == 0 ? 0 : (int) Math.clamp(2 - Math.floor(Math.log10(value)), 0, 6);
    return String.format(Locale.ROOT, "%." + decimals + "f", value);
  }

  private void line(String line) {
    text.append(line).append('\n');
  }
}
