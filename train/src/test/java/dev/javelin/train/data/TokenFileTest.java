package dev.javelin.train.data;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.javelin.tensor.io.FileFormatException;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.Random;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

class TokenFileTest {
  @TempDir private Path directory;

  private Path write(int vocabSize, int... ids) {
    Path path = directory.resolve("train.bin");
    try (TokenFileWriter writer = new TokenFileWriter(path, vocabSize, null, null)) {
      for (int id : ids) {
        writer.accept(id);
      }
      writer.finish();
    }
    return path;
  }

  private List<String> names() throws IOException {
    try (Stream<Path> files = Files.list(directory)) {
      return files.map(p -> p.getFileName().toString()).sorted().toList();
    }
  }

  @Test
  void smallVocabulariesTakeTwoLittleEndianBytes() throws IOException {
    Path path = write(65536, 1, 256, 65535);
    assertThat(Files.readAllBytes(path)).containsExactly(1, 0, 0, 1, 0xFF, 0xFF);
    try (TokenFile file = TokenFile.open(path)) {
      int[] ids = new int[2];
      file.read(1, ids, 2);
      assertThat(file.size()).isEqualTo(3);
      assertThat(ids).containsExactly(256, 65535);
    }
  }

  @Test
  void largeVocabulariesTakeFour() throws IOException {
    Path path = write(65537, 65536, 2);
    assertThat(Files.readAllBytes(path)).containsExactly(0, 0, 1, 0, 2, 0, 0, 0);
    assertThat(Files.readString(directory.resolve("train.bin.json"))).contains("uint32", "65537");
    try (TokenFile file = TokenFile.open(path)) {
      int[] ids = new int[2];
      file.read(0, ids, 2);
      assertThat(ids).containsExactly(65536, 2);
    }
  }

  @ParameterizedTest
  @ValueSource(ints = {1, 2, 1000, 600_000})
  void whatWasWrittenIsRead(int count) {
    int[] ids = new int[count];
    for (int i = 0; i < count; i++) {
      ids[i] = (int) (i * 2654435761L >>> 7 & 0xFFFF);
    }
    int[] read = new int[count];
    try (TokenFile file = TokenFile.open(write(1 << 16, ids))) {
      file.read(0, read, count);
    }
    assertThat(read).isEqualTo(ids);
  }

  @Test
  void aPlainNanoGptFileNeedsNothingBesideIt() throws IOException {
    Path path = directory.resolve("x.bin");
    Files.write(path, new byte[] {7, 0, 8, 0});
    try (TokenFile file = TokenFile.open(path)) {
      assertThat(file.size()).isEqualTo(2);
      assertThat(file.description().tokenizer()).isNull();
    }
  }

  @Test
  void anUnfinishedFileLeavesTheEarlierOne() throws IOException {
    Path path = write(10, 1, 2, 3);
    byte[] before = Files.readAllBytes(path);
    try (TokenFileWriter writer = new TokenFileWriter(path, 10, null, null)) {
      writer.accept(9);
    }
    assertThat(Files.readAllBytes(path)).isEqualTo(before);
    assertThat(names()).containsExactly("train.bin", "train.bin.json");
  }

  @ParameterizedTest
  @ValueSource(ints = {0, 1, 700_000, 999_999, 1_000_000})
  void aTailMovesIntoAnotherFile(int cut) {
    int size = 1_000_000;
    Path head = directory.resolve("head.bin");
    Path tail = directory.resolve("tail.bin");
    try (TokenFileWriter first = new TokenFileWriter(head, 50_000, null, null);
        TokenFileWriter second = new TokenFileWriter(tail, 50_000, null, null)) {
      for (int i = 0; i < size; i++) {
        first.accept(i % 49_999);
      }
      first.moveTail(cut, second);
      assertThat(first.size()).isEqualTo(cut);
      assertThat(second.size()).isEqualTo(size - cut);
      first.finish();
      second.finish();
    }
    int[] ids = new int[size];
    if (cut > 0) {
      try (TokenFile file = TokenFile.open(head)) {
        file.read(0, ids, cut);
      }
    }
    if (cut < size) {
      int[] rest = new int[size - cut];
      try (TokenFile file = TokenFile.open(tail)) {
        file.read(0, rest, rest.length);
      }
      System.arraycopy(rest, 0, ids, cut, rest.length);
    }
    for (int i = 0; i < size; i++) {
      if (ids[i] != i % 49_999) {
        assertThat(ids[i]).as("token " + i).isEqualTo(i % 49_999);
      }
    }
  }

  @Test
  void damagedFilesAreRefused() throws IOException {
    Path path = directory.resolve("train.bin");
    assertThatThrownBy(() -> TokenFile.open(path)).hasMessageContaining("does not exist");
    Files.write(path, new byte[0]);
    assertThatThrownBy(() -> TokenFile.open(path)).hasMessageContaining("holds no tokens");
    Files.write(path, new byte[3]);
    assertThatThrownBy(() -> TokenFile.open(path))
        .isInstanceOf(FileFormatException.class)
        .hasMessageContaining("train.bin: 3 bytes are not a whole number of uint16 ids");
    write(10, 1, 2, 3);
    Files.write(path, new byte[4]);
    assertThatThrownBy(() -> TokenFile.open(path))
        .hasMessageContaining("holds 2 tokens, train.bin.json says 3");
    assertThatThrownBy(() -> TokenFile.open(directory)).hasMessageContaining("is no regular file");
    assertThat(TokenFile.OPEN).hasValue(0);
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      quoteCharacter = '`',
      value = {
        "{|the JSON ends too early",
        "[]|a JSON object must begin with '{'",
        "{}|dtype is missing",
        "{\"dtype\": 1}|dtype must be text, got 1",
        "{\"dtype\": \"int8\"}|dtype must be uint16 or uint32, got \"int8\"",
        "{\"dtype\": \"uint16\", \"vocab_size\": -1}|vocab_size must be from 0",
        "{\"dtype\": \"uint16\", \"vocab_size\": 1e3}|vocab_size must be an integer",
        "{\"dtype\": \"uint16\", \"tokens\": -1}|tokens must be a whole number",
        "{\"dtype\": \"uint16\", \"tokens\": 99999999999999999999}|tokens must be a whole number",
        "{\"dtype\": \"uint16\", \"tokenizer\": \"a\\u0000b\"}|tokenizer must be byte, char or a path, got \"a\\u0000b\"",
        "{\"dtype\": \"uint16\", \"tokenizer\": [1]}|tokenizer must be text",
        "{\"dtype\": \"uint16\", \"separator\": \"x\"}|separator is wrong",
      })
  void damagedDescriptionsAreRefused(String json, String message) throws IOException {
    Path path = write(10, 1, 2, 3);
    Files.writeString(directory.resolve("train.bin.json"), json);
    assertThatThrownBy(() -> TokenFile.open(path))
        .isInstanceOf(FileFormatException.class)
        .hasMessageStartingWith(path + ".json: ")
        .hasMessageContaining(message);
    assertThat(TokenFile.OPEN).hasValue(0);
  }

  @Test
  void anIdOutsideTheVocabularyIsFoundWhenASmallFileIsOpened() throws IOException {
    Path path = directory.resolve("x.bin");
    Files.write(path, new byte[] {7, 0, 8, 0, 0, 1});
    try (TokenFile file = TokenFile.open(path)) {
      file.requireBelow(257);
      assertThatThrownBy(() -> file.part("part", 0, 2).requireBelow(256))
          .isInstanceOf(InputException.class)
          .hasMessage(
              path
                  + ": token 256 at position 2 is outside the vocabulary of 256: prepare the data with the model's tokenizer");
    }
  }

  /**
   * A large file is looked through behind: the run is told when it next reads, wherever that is.
   */
  @Test
  void anIdOutsideTheVocabularyOfALargeFileIsThrownByTheNextRead() throws Exception {
    int[] ids = new int[300_000];
    ids[299_999] = 70_000;
    Path path = write(100_000, ids);
    int[] first = new int[4];
    try (TokenFile file = TokenFile.open(path, 1000)) {
      file.requireBelow(70_001);
      file.requireBelow(65_536);
      long deadline = System.nanoTime() + 60_000_000_000L;
      while (System.nanoTime() < deadline) {
        try {
          file.read(0, first, 4);
          Thread.sleep(1);
        } catch (InputException e) {
          assertThat(e)
              .hasMessageStartingWith(
                  path + ": token 70000 at position 299999 is outside the vocabulary of 65536");
          return;
        }
      }
    }
    throw new AssertionError("nothing was found in a minute");
  }

  @Test
  void aFileMayBeClosedWhileItIsLookedThrough() {
    Path path = write(65536, new int[4_000_000]);
    for (int round = 0; round < 50; round++) {
      TokenFile file = TokenFile.open(path, 1000);
      file.requireBelow(60_000);
      file.close();
      file.close();
    }
    assertThat(TokenFile.OPEN).hasValue(0);
    assertThat(Thread.getAllStackTraces().keySet())
        .noneMatch(thread -> thread.getName().equals("check " + path));
  }

  @Test
  void aFileCutShortWhileItIsMappedIsNamed() throws IOException {
    Path path = write(65536, new int[1_000_000]);
    try (TokenFile file = TokenFile.open(path)) {
      Files.write(path, new byte[2]);
      int[] ids = new int[1000];
      assertThatThrownBy(() -> file.read(900_000, ids, ids.length))
          .isInstanceOf(InputException.class)
          .hasMessageContaining("train.bin was cut while it was read");
    }
  }

  @Test
  void twoWritersOfOneFileExcludeEachOther() throws IOException {
    Path path = directory.resolve("train.bin");
    try (TokenFileWriter writer = new TokenFileWriter(path, 10, null, null)) {
      writer.accept(1);
      assertThatThrownBy(() -> new TokenFileWriter(path, 10, null, null).close())
          .isInstanceOf(InputException.class)
          .hasMessageContaining("train.bin is being written by another");
      writer.finish();
    }
    assertThat(names()).containsExactly("train.bin", "train.bin.json");
    assertThat(Files.size(path)).isEqualTo(2);
  }

  @Test
  void linksAreNotWrittenThrough() throws IOException {
    Path away = Files.writeString(directory.resolve("away"), "precious");
    Files.createSymbolicLink(directory.resolve("train.bin.tmp"), away);
    assertThatThrownBy(() -> write(10, 1)).hasMessageContaining("cannot be written");
    Files.delete(directory.resolve("train.bin.tmp"));
    Files.createSymbolicLink(directory.resolve("train.bin"), away);
    assertThat(Files.isSymbolicLink(write(10, 1))).isFalse();
    assertThat(away).hasContent("precious");
  }

  @Test
  void idsOutsideTheVocabularyAreNotWritten() {
    assertThatThrownBy(() -> write(10, 10)).hasMessageContaining("outside the vocabulary [0, 10)");
  }

  /** The last number is nanoGPT's {@code int(n * 0.9)} of tinyshakespeare. */
  @ParameterizedTest
  @CsvSource({"10,0,10", "10,0.3,7", "10,0.9,1", "1000,0.2,800", "1,0.1,0", "1115394,0.1,1003854"})
  void theSplitTakesTheFractionAsItIsWritten(long size, double fraction, long cut) {
    assertThat(TokenSource.splitAt(size, fraction)).isEqualTo(cut);
  }

  @ParameterizedTest
  @ValueSource(doubles = {-0.1, 1, Double.NaN})
  void fractionsOutsideZeroToOneAreRefused(double fraction) {
    assertThatThrownBy(() -> TokenSource.splitAt(10, fraction))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessageContaining("must be in [0, 1)");
  }

  private static int[] ids(TokenFile file) {
    int[] ids = new int[(int) file.size()];
    file.read(0, ids, ids.length);
    return ids;
  }

  /** A file of words and then ids of two or four bytes. */
  private Path binary(String name, int[] words, int[] ids, int width) throws IOException {
    ByteBuffer bytes =
        ByteBuffer.allocate(4 * words.length + width * ids.length).order(ByteOrder.LITTLE_ENDIAN);
    for (int word : words) {
      bytes.putInt(word);
    }
    for (int id : ids) {
      if (width == 2) {
        bytes.putShort((short) id);
      } else {
        bytes.putInt(id);
      }
    }
    return Files.write(directory.resolve(name), bytes.array());
  }

  private static int[] header(int... first) {
    return Arrays.copyOf(first, 256);
  }

  @Test
  void llmCsFilesAreKnownByTheirHeader() throws IOException {
    int[] small = {50256, 7, 65535};
    try (TokenFile file = TokenFile.open(binary("a.bin", header(20240520, 1, 3), small, 2))) {
      assertThat(ids(file)).containsExactly(small);
    }
    int[] large = {128000, 7, 127999};
    try (TokenFile file = TokenFile.open(binary("b.bin", header(20240801, 7, 3), large, 4))) {
      assertThat(ids(file)).containsExactly(large);
    }
    refused(binary("c.bin", header(20240520, 2, 3), small, 2), "llm.c of version 2, not 1");
    refused(binary("d.bin", header(20240520, 1, 4), small, 2), "holds 3 tokens, its header says 4");
    refused(binary("e.bin", new int[] {20240520, 1, 4}, small, 2), "is cut short");
    refused(binary("f.bin", header(20240801, 7, 3), small, 2), "holds 1 tokens, its header says 3");
    assertThat(TokenFile.OPEN).hasValue(0);
  }

  private static void refused(Path path, String message) {
    assertThatThrownBy(() -> TokenFile.open(path).close())
        .isInstanceOf(FileFormatException.class)
        .hasMessageContaining(message);
  }

  /** Of a vocabulary of characters, of GPT-2's and of Llama 3's, with and without zeros. */
  @ParameterizedTest
  @ValueSource(ints = {65, 50257, 128256})
  void idsOfFourBytesAreKnownByTheirUpperHalves(int vocabulary) throws IOException {
    int[] ids = new Random(1).ints(1000, 0, vocabulary).toArray();
    Path path = binary("a.bin", new int[0], ids, 4);
    try (TokenFile file = TokenFile.open(path)) {
      assertThat(ids(file)).containsExactly(ids);
      assertThat(file.note()).contains("a.bin holds 32-bit ids, by its look", "a.bin.json");
    }
    Files.writeString(directory.resolve("a.bin.json"), "{\"dtype\": \"uint16\"}");
    try (TokenFile file = TokenFile.open(path)) {
      assertThat(file.size()).isEqualTo(2000);
      assertThat(file.note()).isNull();
    }
  }

  @ParameterizedTest
  @ValueSource(ints = {1, 2, 4, 65, 256, 50257, 65536})
  void idsOfTwoBytesAreNotTakenForFour(int vocabulary) throws IOException {
    for (int seed = 0; seed < 20; seed++) {
      int[] ids = new Random(seed).ints(1000, 0, vocabulary).toArray();
      try (TokenFile file = TokenFile.open(binary("a.bin", new int[0], ids, 2))) {
        assertThat(ids(file)).containsExactly(ids);
        assertThat(file.note()).isNull();
      }
    }
  }

  @Test
  void whatIsNoTokenFileIsRefusedByName() throws IOException {
    byte[][] heads = {
      {(byte) 0x93, 'N', 'U', 'M', 'P', 'Y', 1, 0},
      {'P', 'K', 3, 4, 0, 0},
      {0x1f, (byte) 0x8b, 8, 0},
      {0x28, (byte) 0xb5, 0x2f, (byte) 0xfd},
      {'G', 'G', 'U', 'F', 3, 0, 0, 0},
    };
    String[] names = {"NumPy array", "zip archive", "gzip", "zstd", "GGUF"};
    for (int i = 0; i < heads.length; i++) {
      refused(Files.write(directory.resolve("x.bin"), heads[i]), names[i]);
    }
    refused(binary("y.bin", header(20240326, 3), new int[0], 2), "is a model of llm.c");
    assertThat(TokenFile.OPEN).hasValue(0);
  }
}
