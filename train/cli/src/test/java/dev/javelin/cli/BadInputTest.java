package dev.javelin.cli;

import static org.assertj.core.api.Assertions.assertThat;

import dev.javelin.train.checkpoint.Checkpoints;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.condition.DisabledOnOs;
import org.junit.jupiter.api.condition.OS;
import org.junit.jupiter.api.io.TempDir;

/** What cannot be used is named in one line, with the remedy; earlier checkpoints stay. */
class BadInputTest {
  @TempDir Path dir;

  @Test
  void aTruncatedOrCorruptWeightsFile() throws IOException {
    Path run = trained();
    Path weights = run.resolve("checkpoint-2/model.safetensors");
    byte[] whole = Files.readAllBytes(weights);
    Files.write(weights, Arrays.copyOf(whole, whole.length / 2));
    refused(eval(run), "model.safetensors", "damaged");
    byte[] header = whole.clone();
    header[1] ^= 0x40;
    Files.write(weights, header);
    refused(eval(run), "model.safetensors", "damaged");
  }

  @Test
  void weightsThatAreNoNumbers() throws IOException {
    Path run = trained();
    Path weights = run.resolve("checkpoint-2/model.safetensors");
    byte[] bytes = Files.readAllBytes(weights);
    ByteBuffer.wrap(bytes).order(ByteOrder.LITTLE_ENDIAN).putFloat(bytes.length - 4, Float.NaN);
    Files.write(weights, bytes);
    refused(eval(run), "model.safetensors", "NaN at element 31", "earlier checkpoint");
  }

  @Test
  void weightsOfAnotherShapeThanTheConfiguration() throws IOException {
    Path run = trained();
    Path config = run.resolve("checkpoint-2/config.json");
    Files.writeString(
        config,
        Files.readString(config)
            .replaceFirst("\"intermediate_size\": 48", "\"intermediate_size\": 64"));
    refused(eval(run), "must be", "64");
  }

  @Test
  void aDirectoryWithoutConfiguration() throws IOException {
    Path empty = Files.createDirectory(dir.resolve("empty"));
    refused(run("eval", "--model=" + empty, "--data=" + Tiny.text(dir)), "config.json");
    refused(run("train", "--model=" + empty), "config.json");
    refused(run("generate", "--model=" + dir.resolve("none")), "none", "no such directory");
    refused(run("train", "--model=llama-shakespear-cpu"), "did you mean llama-shakespeare-cpu?");
  }

  @Test
  void theDirectoryOfARunInPlaceOfItsModelAndAFileInPlaceOfADirectory() throws IOException {
    Path run = trained();
    refused(run("eval", "--model=" + run), "directory of a run", "name " + run.resolve("last"));
    Path file = Files.writeString(dir.resolve("file"), "");
    refused(Tiny.train(dir, file), "--output-dir " + file + " is a file");
  }

  @Test
  void tokensOutsideTheVocabulary() throws IOException {
    ByteBuffer ids = ByteBuffer.allocate(400).order(ByteOrder.LITTLE_ENDIAN);
    for (int i = 0; i < 200; i++) {
      ids.putShort((short) (i == 150 ? 9999 : i));
    }
    Path tokens = Files.write(dir.resolve("tokens.bin"), ids.array());
    CommandLineTest.Result r =
        run(
            "train",
            "--model=" + Tiny.model(dir),
            "--data=" + tokens,
            "--seq-len=16",
            "--batch-size=12",
            "--max-steps=2",
            "--quiet",
            "--output-dir=" + dir.resolve("run"));
    refused(r, "tokens.bin", "9999", "vocabulary");
  }

  @Test
  void emptyAndOneTokenData() throws IOException {
    for (String text : List.of("", "a")) {
      Path file = Files.writeString(dir.resolve("small.txt"), text);
      refused(Tiny.train(dir, dir.resolve("run"), "--data=" + file), "small.txt");
    }
    refused(Tiny.train(dir, dir.resolve("run"), "--data=" + dir.resolve("no.txt")), "no.txt");
  }

  @Test
  void aSequenceLongerThanTheModelsPositions() {
    refused(Tiny.train(dir, dir.resolve("run"), "--seq-len=33"), "--seq-len 33", "32 positions");
    assertThat(dir.resolve("run")).doesNotExist();
  }

  @Test
  @DisabledOnOs(OS.WINDOWS)
  void aFullDiskWhileSavingLeavesEarlierCheckpoints() throws Exception {
    Path run = dir.resolve("run");
    ResumeTest.assertSuccess(Tiny.train(dir, run, "--max-steps=2"));
    // A quarter of the optimizer's file: the weights fit, the moments do not.
    long blocks = Files.size(run.resolve("checkpoint-2/optimizer.safetensors")) / 1024 * 3 / 4;
    ChildJvm child =
        ChildJvm.startUnder(
            "ulimit -f " + blocks, dir, Tiny.flags(dir, run, "--max-steps=4", "--resume"));
    assertThat(child.join()).as(child.text()).isEqualTo(1);
    assertThat(child.text().lines().filter(l -> !l.startsWith("WARNING")))
        .singleElement()
        .asString()
        .contains("checkpoint-4 could not be saved", "checkpoint-2 is intact", "--resume");
    assertThat(new Checkpoints(run, 0).newest().orElseThrow().step()).isEqualTo(2);
    ResumeTest.assertSuccess(Tiny.train(dir, run, "--max-steps=4", "--resume"));
  }

  /** The launcher sets the locale; who starts the jar alone is told to, before text is mangled. */
  @Test
  @DisabledOnOs({OS.WINDOWS, OS.MAC})
  void argumentsThatTheLocaleCannotCarryAreRefused() throws Exception {
    String accented = "; set -- \"$@\" \"$(printf '\\303\\251')\"";
    List<String> encode = List.of("tokenizer", "encode", "--tokenizer", "byte");
    ChildJvm plain = ChildJvm.startUnder("export LC_ALL=C" + accented, dir, encode);
    assertThat(plain.join()).as(plain.text()).isEqualTo(2);
    assertThat(plain.text().lines().filter(l -> !l.startsWith("WARNING")))
        .singleElement()
        .asString()
        .contains("set LC_ALL=C.UTF-8");
    ChildJvm utf8 = ChildJvm.startUnder("export LC_ALL=C.UTF-8" + accented, dir, encode);
    assertThat(utf8.join()).as(utf8.text()).isEqualTo(0);
    assertThat(utf8.text()).contains("195 169");
  }

  private Path trained() {
    Path run = dir.resolve("trained");
    ResumeTest.assertSuccess(Tiny.train(dir, run, "--max-steps=2"));
    return run;
  }

  private CommandLineTest.Result eval(Path run) {
    return run("eval", "--model=" + run.resolve("last"), "--data=" + Tiny.text(dir));
  }

  private static CommandLineTest.Result run(String... arguments) {
    return CommandLineTest.run(arguments);
  }

  private static void refused(CommandLineTest.Result r, String... parts) {
    assertThat(r.exit()).as(r.err()).isEqualTo(2);
    assertThat(r.err().lines()).singleElement().asString().contains(parts);
  }
}
