// The code of 10-train.md: ./javelin shell docs/learn/10-train.jsh

import module java.base;
import dev.javelin.device.Cpu;
import dev.javelin.nn.*;
import dev.javelin.nn.family.Llama;
import dev.javelin.train.*;
import dev.javelin.train.data.*;
import dev.javelin.train.inference.Sampler;
import dev.javelin.train.monitor.*;
import dev.javelin.train.settings.RunSettings;
import dev.javelin.train.tokenizer.CharTokenizer;

void say(String form, Object... values) {
  System.out.println(String.format(Locale.ROOT, form, values));
}
void check(boolean holds, String claim) {
  if (!holds) throw new AssertionError("not true: " + claim);
}

String[] who = {"cat", "dog", "fox", "hen", "owl"};
String[] does = {"sleeps", "waits", "is lazy", "looks", "eats"};
String[] where = {"on the mat", "in the barn", "by the river", "under a tree"};

String sentences(int count, long seed) {
  Random random = new Random(seed);
  StringBuilder text = new StringBuilder();
  for (int i = 0; i < count; i++) {
    text.append("the ").append(who[random.nextInt(who.length)]);
    text.append(" ").append(does[random.nextInt(does.length)]);
    text.append(" ").append(where[random.nextInt(where.length)]).append(".\n");
  }
  return text.toString();
}

String read = sentences(600, 1);
String held = sentences(60, 2);
var letters = CharTokenizer.of(Stream.of(read));
say("%d letters, %d different ones, ln %d = %.2f", read.length(), letters.vocabSize(), letters.vocabSize(), Math.log(letters.vocabSize()));
read.lines().limit(2).forEach(System.out::println);

Cpu cpu = Cpu.open(2);

LanguageModel fresh() {
  return LanguageModel.create(
      cpu,
      Llama.config(letters.vocabSize(), 2, 2, 2, 32, 64, 32), // 2 layers, 2 heads, 32 wide
      Precision.FP32,
      Grouping.decayMatrices(0.1f),
      1, // the seed of the weights
      letters);
}

RunSettings settings(int steps) {
  return RunSettings.DEFAULT
      .withBatch(b -> b.withSeqLen(32).withBatchSize(8))
      .withSchedule(s -> s.withLearningRate(1e-2))
      .withRun(r -> r.withMaxSteps(steps).withLoggingSteps(1).withEvalEvery(0).withSaveEvery(0));
}

class Curve implements Watcher {
  final List<Double> losses = new ArrayList<>();
  final List<Double> norms = new ArrayList<>();
  final List<String> events = new ArrayList<>();

  @Override
  public void logged(StepMetrics metrics) {
    losses.add(metrics.loss());
    norms.add(metrics.gradNorm());
  }

  @Override
  public void event(RunEvent event) {
    events.add(event.kind());
  }
}

double train(LanguageModel model, RunSettings settings, Curve curve) throws IOException {
  Dataset data = new Dataset(
      TokenSource.of("read", letters.encode(read)),
      TokenSource.of("held out", letters.encode(held)),
      letters);
  try (Trainer trainer = TextTraining.of(model, data, settings).trainer()) {
    return trainer.watch(curve).run().evaluation().loss();
  }
}

int steps = 80;
Curve clean = new Curve();
LanguageModel model = fresh();
double cleanLoss = train(model, settings(steps), clean);
for (int step : new int[] {1, 10, 20, 40, 60, 80}) {
  say("step %2d  loss %.1f", step, clean.losses.get(step - 1));
}
check(Math.abs(clean.losses.getFirst() - Math.log(letters.vocabSize())) < 0.1, "it begins at ln V");
check(cleanLoss < 1, "and learns");

Curve broken = new Curve();
double brokenLoss;
try (LanguageModel other = fresh()) {
  brokenLoss = train(other, settings(steps).withGuard(g -> g.withInject("spike@60:8")), broken);
}

Curve guarded = new Curve();
double guardedLoss;
try (LanguageModel other = fresh()) {
  RunSettings careful = settings(steps).withGuard(g -> g
      .withInject("spike@60:8")
      .withGuard("skip")         // leave such steps out
      .withGuardWindow(40)       // compare with the last 40 steps
      .withGuardWarmup(30)       // for the first 30 only look on
      .withGuardThreshold(10));  // how unusual is a spike?
  guardedLoss = train(other, careful, guarded);
}

say("step   clean  broken  guarded");
for (int step : new int[] {59, 60, 61, 64, 68, 69, 74, 80}) {
  say("%4d   %5.1f  %6.1f  %7.1f", step, clean.losses.get(step - 1), broken.losses.get(step - 1), guarded.losses.get(step - 1));
}
say("%s", guarded.events);
check(broken.losses.get(62) > 5 * clean.losses.get(62), "the loss jumps");
check(brokenLoss > 1.5 * cleanLoss, "and the run does not recover in time");
check(guardedLoss < 1.25 * cleanLoss, "the guarded run is about as good as the clean one");

double ratio(double quiet, double loud) { // Adam's m̂/√v̂ behind a thousand quiet gradients and a loud one
  double m = 0.9 * quiet + 0.1 * loud;
  double v = 0.999 * quiet * quiet + 0.001 * loud * loud;
  return m / Math.sqrt(v);
}
say("as always: %.2f, one that is 100 times longer: %.2f", ratio(0.01, 0.01), ratio(0.01, 1));

train(model, settings(80), new Curve()); // the clean model learns on
Path home = Files.createTempDirectory("lesson");
Path base = home.resolve("base");
model.save(base);
Sampler greedy = new Sampler(0, 0, 1, 1); // always the likeliest letter
String start = "\nthe ";
String before = model.generate(start, 27, greedy).lines().findFirst().get();
model.close();
say("the %s", before);

String[] listeners = {"the moon", "a river", "the rain", "a tree"};
StringBuilder story = new StringBuilder();
for (int i = 0; i < 200; i++) {
  story.append("the zig sings to ").append(listeners[i % 4]).append(".\n");
}
Path stories = Files.writeString(home.resolve("stories.txt"), story);

RunSettings tune = settings(50)
    .withModel(m -> m.withModel(base.toString()))
    .withAdapter(a -> a.withLora(4))
    .withData(d -> d.withData(List.of(stories)))
    .withDevice(d -> d.withDevice("cpu").withThreads(2))
    .withRun(r -> r.withOutputDir(home.resolve("run")));
Curve tuned = new Curve();
try (Run run = Run.open(tune)) {
  say("%d weights in the base, %d in the adapter", run.model().parameters().size(), run.model().trained().size());
  run.trainer().watch(tuned).run();
}
say("loss of the first step %.0f, of the last %.1f", tuned.losses.getFirst(), tuned.losses.getLast());
check(tuned.losses.getLast() < 0.7, "the adapter has learned");

try (LanguageModel plain = LanguageModel.load(cpu, base);
    LanguageModel adapted = plain.withAdapter(home.resolve("run/last"))) {
  String after = adapted.generate(start, 27, greedy).lines().findFirst().get();
  say("before: the %s", before);
  say("after:  the %s", after);
  check(!before.contains("zig") && after.startsWith("zig sings to"), "it speaks of the zig");
  check(plain.generate(start, 27, greedy).startsWith(before), "the base says what it said");
}

say("clean %.0f, broken %.0f", Math.exp(cleanLoss), Math.exp(brokenLoss));

try (Stream<Path> all = Files.walk(home)) {
  all.sorted(Comparator.reverseOrder()).forEach(f -> f.toFile().delete());
}
cpu.close();
