package dev.javelin.nn;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import dev.javelin.autograd.Tape;
import dev.javelin.device.Cpu;
import dev.javelin.device.DType;
import dev.javelin.device.Device;
import dev.javelin.tensor.Shape;
import dev.javelin.tensor.Tensor;
import dev.javelin.tensor.step.Workspace;
import java.lang.foreign.MemorySegment;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Random;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.FieldSource;

/** Sequences of different lengths in one pass: the bits of each are those it has alone. */
class RaggedPassTest {
  private static final int POSITIONS = 200;

  @ParameterizedTest
  @CsvSource({
    "llama-tiny, FP32, 1",
    "gpt2-tiny, FP32, 2",
    "qwen3-tiny, FP32, 2",
    "mistral-window-tiny, FP32, 3",
    "mistral-window-tiny, BF16, 2",
    "qwen2-tiny, FP16, 2"
  })
  void batchedIsAloneBitForBitAndCachedIsUncachedToRounding(
      String name, String precision, int threads) {
    Precision p =
        switch (precision) {
          case "BF16" -> Precision.BF16;
          case "FP16" -> Precision.FP16;
          default -> Precision.FP32;
        };
    try (Cpu cpu = Cpu.open(threads)) {
      check(cpu, name, p);
    }
  }

  @ParameterizedTest
  @FieldSource("dev.javelin.nn.ModelCase#FAMILIES")
  void soItIsInAllFamilies(String name) {
    try (Cpu cpu = Cpu.open(2)) {
      check(cpu, name, Precision.FP32);
    }
  }

  static void check(Device device, String name, Precision precision) {
    String kind = ModelCase.FAMILIES.contains(name) ? "families" : "models";
    TransformerConfig config =
        TransformerConfig.read(Path.of("src/test/resources/golden", kind, name))
            .withPositions(POSITIONS);
    try (ParameterBuffer<Transformer> buffer =
            Transformer.allocate(device, config, precision, Grouping.frozen());
        Workspace ws = Workspace.poisoned(device, 32 << 20)) {
      Init.normal(buffer, 7);
      Transformer model = buffer.model();
      int[][] texts = new int[6][];
      Random random = new Random(3);
      for (int s = 0; s < texts.length; s++) { // over the borders of pages at 64 and 128
        texts[s] = random.ints(s * 26 + 13, 0, config.vocab()).toArray();
      }
      int steps = 12;
      int[] prompts = Arrays.stream(texts).mapToInt(t -> t.length - steps).toArray();
      List<float[][]> alone = new ArrayList<>();
      for (int[] text : texts) {
        alone.add(alone(model, device, ws, text, text.length - steps));
      }
      List<KvCache> caches = new ArrayList<>();
      for (int s = 0; s < texts.length; s++) {
        caches.add(KvCache.open(device, config, model.tokens().value().dtype()));
        int[] prompt = Arrays.copyOf(texts[s], prompts[s]);
        next(model, ws, List.of(caches.get(s)), new int[][] {prompt});
      }
      for (int i = 0; i < steps; i++) {
        List<KvCache> now = new ArrayList<>();
        List<Integer> who = new ArrayList<>();
        for (int s = 0; s < texts.length; s++) {
          if (s % 2 == 0 || i != 5) { // some sit a pass out and then read two tokens
            now.add(caches.get(s));
            who.add(s);
          }
        }
        int[][] read = new int[now.size()][];
        for (int r = 0; r < read.length; r++) {
          int s = who.get(r);
          read[r] = Arrays.copyOfRange(texts[s], now.get(r).length(), prompts[s] + i + 1);
        }
        float[][] logits = next(model, ws, now, read);
        for (int r = 0; r < read.length; r++) {
          int s = who.get(r);
          float[] want = alone.get(s)[i];
          if (read[r].length == 1) {
            if (i <= 5 || s % 2 == 0) {
              assertThat(logits[r]).as("sequence %d, step %d", s, i).isEqualTo(want);
            }
          }
          close(precision, logits[r], want, "sequence %d, step %d".formatted(s, i));
        }
      }
      for (int s = 0; s < texts.length; s++) {
        ws.reset();
        Tensor ids = ids(ws, texts[s]);
        Tensor all = model.forward(Tape.inference(ws), ids).value();
        Tensor last = all.slice(1, texts[s].length - 1, texts[s].length);
        close(precision, last.toFloats(), alone.get(s)[steps - 1], "uncached " + s);
      }
      caches.forEach(KvCache::close);
    }
  }

  private static void close(Precision precision, float[] got, float[] want, String what) {
    double bound = precision.equals(Precision.FP32) ? 2e-5 : 3e-2;
    for (int i = 0; i < want.length; i++) {
      assertThat((double) got[i]).as("%s, logit %d", what, i).isCloseTo(want[i], within(bound));
    }
  }

  /** The logits behind each token from {@code prompt} on. */
  private static float[][] alone(
      Transformer model, Device device, Workspace ws, int[] text, int prompt) {
    float[][] logits = new float[text.length - prompt][];
    try (KvCache cache = KvCache.open(device, model.config(), model.tokens().value().dtype())) {
      next(model, ws, List.of(cache), new int[][] {Arrays.copyOf(text, prompt)});
      for (int i = prompt; i < text.length; i++) {
        logits[i - prompt] = next(model, ws, List.of(cache), new int[][] {{text[i]}})[0];
      }
    }
    return logits;
  }

  private static float[][] next(
      Transformer model, Workspace ws, List<KvCache> caches, int[][] read) {
    ws.reset();
    int[] counts = Arrays.stream(read).mapToInt(r -> r.length).toArray();
    int[] all = Arrays.stream(read).flatMapToInt(Arrays::stream).toArray();
    float[] logits = model.next(Tape.inference(ws), ids(ws, all), caches, counts).toFloats();
    int vocab = logits.length / read.length;
    float[][] rows = new float[read.length][];
    Arrays.setAll(rows, r -> Arrays.copyOfRange(logits, r * vocab, (r + 1) * vocab));
    return rows;
  }

  private static Tensor ids(Workspace ws, int[] values) {
    Tensor t = ws.alloc(DType.I32, Shape.of(1, values.length));
    t.fromHost(MemorySegment.ofArray(values));
    return t;
  }

  @Test
  void aCacheTakesMemoryAsItGrowsAndGivesItBack() {
    TransformerConfig config =
        TransformerConfig.read(Path.of("src/test/resources/golden/models/llama-tiny"))
            .withPositions(POSITIONS);
    try (Cpu cpu = Cpu.open(1);
        KvCache cache = KvCache.open(cpu, config, DType.F32)) {
      assertThat(cache.pages()).isEmpty();
      cache.reserve(1);
      assertThat(cache.pages()).hasSize(1);
      cache.advance(1);
      cache.reserve(63);
      assertThat(cache.pages()).hasSize(1);
      cache.advance(63);
      var first = cache.pages().getFirst();
      cache.reserve(70);
      assertThat(cache.pages()).hasSize(3).first().isSameAs(first);
      cache.advance(70);
      cache.truncate(64);
      assertThat(cache.pages()).hasSize(1).first().isSameAs(first);
      assertThatThrownBy(() -> cache.reserve(137))
          .hasMessageContaining("201 tokens is longer than the model's 200 positions");
      cache.close();
      assertThatThrownBy(() -> cache.reserve(1)).isInstanceOf(IllegalStateException.class);
    }
  }
}
