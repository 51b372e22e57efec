package dev.javelin.train.data;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import com.github.luben.zstd.ZstdOutputStreamNoFinalizer;
import dev.javelin.tensor.io.FileFormatException;
import dev.javelin.train.tokenizer.ByteTokenizer;
import dev.javelin.train.tokenizer.CharTokenizer;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.OutputStream;
import java.nio.charset.Charset;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.Arrays;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.stream.Stream;
import java.util.zip.GZIPOutputStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

class TextFilesTest {
  private static final String BOM = "\uFEFF";

  @TempDir private Path directory;

  private Path file(String name, String content) throws IOException {
    Path path = directory.resolve(name);
    Files.createDirectories(path.resolveSibling("."));
    return Files.writeString(path, content);
  }

  private static List<String> documents(Path... paths) {
    return documents(TextFiles.of(List.of(paths), TextFiles.TEXT));
  }

  private static List<String> documents(Texts texts) {
    try (Stream<TextDocument> documents = texts.documents()) {
      return documents.map(TextDocument::text).toList();
    }
  }

  private void refused(Path path, String message) {
    assertThatThrownBy(() -> documents(path))
        .isInstanceOf(FileFormatException.class)
        .hasMessageStartingWith(path + ": " + message)
        .message()
        .doesNotContain("\n");
  }

  @ParameterizedTest
  @ValueSource(strings = {"one\r\ntwo\rthree\n", "", "\n", "a\u2028b\u0085c", "xy\u0000"})
  void aTextIsTakenAsItIs(String text) throws IOException {
    assertThat(documents(file("a.txt", text))).containsExactly(text);
    assertThat(documents(file("b.TXT", BOM + text))).containsExactly(text);
  }

  @ParameterizedTest
  @ValueSource(strings = {"\n", "\r\n", "\r", "\n\n", "\r\n \t\r\n", "\n\uFEFF"})
  void linesEndInEveryWay(String end) throws IOException {
    String content = "{\"text\": \"a\\r\\nb\"}" + end + "{\"id\": 1, \"text\": \"c\u2028\u0085\"}";
    for (String all : List.of(content, content + end, BOM + content)) {
      assertThat(documents(file("a.jsonl", all))).containsExactly("a\r\nb", "c\u2028\u0085");
    }
  }

  @ParameterizedTest
  @CsvSource(
      quoteCharacter = '`',
      delimiter = '|',
      value = {
        // two files put together, the first without a newline at its end; text behind an object
        "`{\"text\": \"one\"}\n{\"text\": \"two\"}{\"text\": \"three\"}`|line 2, byte 15: text follows the end of the JSON object; write one JSON object a line",
        "{\"text\": \"c\"} trailing|line 1, byte 14: text follows the end of the JSON object",
        "`\n\n{\"text\": \"x`|line 3, byte 11: the JSON ends too early",
        "`{\"text\": \"x\"}\n[1]`|line 2, byte 0: a JSON object must begin with '{'",
        "{\"text\": 1}|line 1 has no text under \"text\"; it has [text], choose one with --column",
        "{\"body\": \"x\", \"id\": 1}|line 1 has no text under \"text\"; it has [body, id], choose",
        "{\"text\": null}|line 1 has no text under \"text\"",
        "{\"text\": \"a\", \"text\": \"b\"}|line 1, byte 25: the key \"text\" occurs twice",
        "`{\"text\": \"a\"}\n{\"text\": \"x\\ud83d\"}`|line 2, byte 18: a string holds half a surrogate pair",
        "{\"text\": \"x\\ude00\\ud83d\"}|line 1, byte 24: a string holds half a surrogate pair",
        "`{\"text\": \"a\tb\"}`|line 1, byte 11: a control character in a string is not escaped",
        "{\"text\": \"x\", \"score\": NaN}|line 1, byte 23: a value is expected",
      })
  void whatIsNotAnObjectALineIsRefused(String content, String message) throws IOException {
    refused(file("a.jsonl", content), message);
  }

  @Test
  void deepNestingIsRefusedNotOverflowing() throws IOException {
    String deep = "[".repeat(1_000_000);
    refused(file("a.jsonl", "{\"x\": " + deep), "line 1, byte 517: JSON nested deeper than 512");
  }

  @ParameterizedTest
  @ValueSource(strings = {"\n", "\r\n", "\r", "\n\n"})
  void rowsEndInEveryWay(String end) throws IOException {
    String content = "id,text" + end + "1,one" + end + "2,\"two\r\n\"\"2\"\", and\rmore\"";
    for (String all : List.of(content, content + end, BOM + content, BOM + "\n" + content)) {
      assertThat(documents(file("a.csv", all))).containsExactly("one", "two\r\n\"2\", and\rmore");
      assertThat(
              documents(
                  file(
                      "a.tsv",
                      all.replace("id,", "id\t").replace("1,", "1\t").replace("2,", "2\t"))))
          .containsExactly("one", "two\r\n\"2\", and\rmore");
    }
  }

  @Test
  void fieldsKeepTheirSpacesAndQuotesWithin() throws IOException {
    Path path = file("a.csv", "text,,\n a \"b\" ,1,2\n\"\",,\n,,\n");
    assertThat(documents(path)).containsExactly(" a \"b\" ", "", "");
    assertThat(documents(file("b.csv", BOM + "\"text\",n\r\nhello,1\r\n")))
        .containsExactly("hello");
    assertThat(documents(file("c.csv", "text\n"))).isEmpty();
    assertThat(documents(file("d.csv", ""))).isEmpty();
    assertThat(documents(TextFiles.of(List.of(file("e.csv", "a,b\n1,2")), "b")))
        .containsExactly("2");
  }

  @ParameterizedTest
  @CsvSource(
      quoteCharacter = '`',
      delimiter = '|',
      value = {
        "`body,id\nx,1`|row 2 has no text under \"text\"; it has [body, id], choose one with --column",
        "`id,text\n1`|row 2 has 1 field, the first row has 2 ([id, text]); put fields that hold",
        "`text,id\nx,1\n\nx,1,`|row 4 has 3 fields, the first row has 2",
        "`text,id\n\"x\n\ny\",1\nz`|row 3 (line 5) has 1 field, the first row has 2",
        "`text\na\n\"x\ny`|row 3 has a quote that is not closed",
        "`text\n\"x\" y`|row 2 has text after a closing quote",
        "`text,id,text\na,b,c`|row 1 names the column \"text\" twice",
      })
  void whatIsNotATableIsRefused(String content, String message) throws IOException {
    refused(file("a.csv", content), message);
  }

  @ParameterizedTest
  @ValueSource(strings = {"txt", "jsonl", "csv", "tsv"})
  void otherEncodingsAreRefusedByName(String kind) throws IOException {
    Path path = directory.resolve("a." + kind);
    String content =
        switch (kind) {
          case "txt" -> "caf é";
          case "jsonl" -> "{\"text\":  \"caf é\"}\n";
          default -> "text\ncafé\n";
        };
    Files.write(path, content.getBytes(StandardCharsets.ISO_8859_1));
    refused(path, "is not UTF-8: byte 0xE9 at position " + content.indexOf('é'));
    for (String name : List.of("UTF-16LE", "UTF-16BE", "UTF-32LE", "UTF-32BE")) {
      Files.write(path, (BOM + content).getBytes(Charset.forName(name)));
      String encoding = name.substring(0, 6);
      refused(path, "is " + encoding + "; convert it with iconv -f " + encoding + " -t UTF-8");
    }
    for (String name : List.of("UTF-16LE", "UTF-16BE")) {
      Files.write(path, content.getBytes(Charset.forName(name)));
      refused(path, "is UTF-16 without a byte order mark, or not text");
      assertThatThrownBy(() -> documents(path))
          .hasMessageEndingWith("iconv -f " + name + " -t UTF-8");
    }
    Files.write(path, new byte[] {0x1F, (byte) 0x8B, 8, 0, 0, 0, 0, 0});
    refused(path, "is compressed by gzip; unpack it with gunzip");
    Files.write(path, (BOM + content).getBytes(StandardCharsets.UTF_8));
    assertThat(documents(path))
        .containsExactly(
            kind.equals("txt") ? content : content.contains("caf é") ? "caf é" : "café");
    Files.write(path, new byte[] {(byte) 0xC3}, StandardOpenOption.APPEND); // cut in a character
    refused(path, "is not UTF-8: byte 0xC3 at position " + (Files.size(path) - 1));
  }

  @ParameterizedTest
  @CsvSource({"txt,''", "jsonl,'{\"text\": \"'", "csv,'text\n'"})
  void bytesThatAreNotUtf8AreFoundFarIntoAFile(String kind, String head) throws IOException {
    byte[] bytes = new byte[200_000];
    Arrays.fill(bytes, (byte) 'x');
    System.arraycopy(head.getBytes(StandardCharsets.UTF_8), 0, bytes, 0, head.length());
    for (int at : new int[] {16_383, 16_384, 65_536, 177_777}) {
      bytes[at] = (byte) 0xFF;
      Path path = Files.write(directory.resolve("a." + kind), bytes);
      refused(path, "is not UTF-8: byte 0xFF at position " + at);
      bytes[at] = 'x';
    }
  }

  @Test
  void charactersThatLieAcrossBuffersAreWhole() throws IOException {
    String text = "x" + "\uD83D\uDE00é".repeat(60_000) + "\uFFFD";
    assertThat(documents(file("a.txt", text))).containsExactly(text);
    assertThat(documents(file("a.jsonl", "{\"text\": \"" + text + "\"}\r\n")))
        .containsExactly(text);
    assertThat(documents(file("a.csv", "text\r\n" + text + "\r\n"))).containsExactly(text);
  }

  /** A limit of the libraries that read these files before was 20,000,000 and 16 MiB. */
  @Test
  void aDocumentMayBeOfAnyLength() throws IOException {
    String words = "the quick brown fox ".repeat(1_100_000);
    assertThat(documents(file("a.jsonl", "{\"text\": \"" + words + "\"}\n{\"text\": \"b\"}")))
        .containsExactly(words, "b");
    assertThat(documents(file("a.csv", "text\n\"" + words + "\"\nb\n")))
        .containsExactly(words, "b");
  }

  @Test
  void hiddenFilesAreLeftOutAndCounted() throws IOException {
    file("d/.ipynb_checkpoints/one-checkpoint.txt", "one (old)\n");
    file("d/one.txt", "one\n");
    file("d/._one.txt", "hidden");
    file("d/sub/.DS_Store", "x");
    file("d/readme.md", "x");
    file("d/sub/TWO.TXT", "two\n");
    Path data = directory.resolve("d");
    TextFiles texts = TextFiles.of(List.of(data), TextFiles.TEXT);
    assertThat(documents(texts)).containsExactly("one\n", "two\n");
    assertThat(texts.notes())
        .containsExactly(
            data
                + ": left out 3 hidden and 1 of other kinds than .txt, .jsonl, .ndjson, .json, .csv, .tsv");
    assertThat(documents(data.resolve("._one.txt"))).containsExactly("hidden"); // named
    assertThat(documents(data.resolve(".ipynb_checkpoints"))).containsExactly("one (old)\n");
    Path empty = directory.resolve("e");
    Files.createDirectories(empty.resolve(".git"));
    assertThatThrownBy(() -> documents(empty))
        .hasMessageContaining(
            "e holds no .txt, .jsonl, .ndjson, .json, .csv, .tsv (1 hidden left out)");
  }

  @Test
  void linksAreFollowedButNotInCircles() throws IOException {
    file("away/two.txt", "two");
    file("d/one.txt", "one");
    Path data = directory.resolve("d");
    Files.createSymbolicLink(data.resolve("sub"), directory.resolve("away"));
    Files.createSymbolicLink(data.resolve("three.txt"), directory.resolve("away/two.txt"));
    Files.createSymbolicLink(data.resolve("gone.txt"), directory.resolve("gone.txt"));
    Files.createSymbolicLink(directory.resolve("away/back"), data);
    TextFiles texts = TextFiles.of(List.of(data), TextFiles.TEXT);
    assertThat(documents(texts)).containsExactly("one", "two", "two");
    assertThat(texts.notes())
        .satisfiesExactly(
            n -> assertThat(n).contains("0 hidden and 1 of other kinds"),
            n -> assertThat(n).contains("did not follow 1 links that lead back"));
  }

  @Test
  void anArrayOfObjectsIsReadOneByOne() throws IOException {
    String array =
        " [ {\"text\": \"a}\\\"]\"}\n,\r\n\t{\"x\": {\"y\": [{}]}, \"text\": \"\uD83D\uDE00\"} ]\n";
    for (String all : List.of(array, BOM + array)) {
      assertThat(documents(file("a.json", all))).containsExactly("a}\"]", "\uD83D\uDE00");
    }
    assertThat(documents(file("b.JSON", "[]"))).isEmpty();
    String lines = "{\"text\": \"a\"}\n{\"text\": \"b\"}\n";
    assertThat(documents(file("c.json", lines))).containsExactly("a", "b");
    assertThat(documents(file("d.ndjson", lines))).containsExactly("a", "b");
    String long1 = "x".repeat(100_000);
    assertThat(documents(file("e.json", "[{\"text\": \"" + long1 + "\"},{\"text\": \"b\"}]")))
        .containsExactly(long1, "b");
  }

  @ParameterizedTest
  @CsvSource(
      quoteCharacter = '`',
      delimiter = '|',
      value = {
        "[{\"text\": \"a\"}|ends within its array: behind object 1; write an array of objects",
        "[{\"text\": \"a\"},|ends within its array: behind object 1",
        "[{\"text\": \"a\"} {\"text\": \"b\"}]|has no comma behind object 1",
        "[{\"text\": \"a\"},]|holds something else than an object as object 2",
        "[1]|holds something else than an object as object 1",
        "[{\"text\": \"a|ends within object 1",
        "[{\"text\": \"a\"}] x|goes on behind the end of its array",
        "[{\"text\": \"a\"}, {\"text\": nope}]|object 2, byte 10: a value is expected",
        "[{\"text\": 1}]|object 1 has no text under \"text\"; it has [text], choose one with",
      })
  void whatIsNoArrayOfObjectsIsRefused(String content, String message) throws IOException {
    refused(file("a.json", content), message);
  }

  /** A configuration is no data: left out of folders, refused where it is named. */
  @Test
  void otherJsonIsNotText() throws IOException {
    Path config = file("d/config.json", "{\n  \"a\": {\"b\": 1}\n}\n");
    file("d/one.txt", "one");
    assertThat(documents(directory.resolve("d"))).containsExactly("one");
    assertThatThrownBy(() -> documents(config))
        .isInstanceOf(InputException.class)
        .hasMessageContaining("holds neither an array of objects nor an object a line");
    assertThatThrownBy(() -> documents(file("a.parquet", "PAR1")))
        .isInstanceOf(InputException.class)
        .hasMessageContaining("is Parquet, which is not read: write it as JSONL");
  }

  private static byte[] packed(String suffix, byte[] bytes) throws IOException {
    ByteArrayOutputStream out = new ByteArrayOutputStream();
    try (OutputStream packer =
        suffix.equals(".gz") ? new GZIPOutputStream(out) : new ZstdOutputStreamNoFinalizer(out)) {
      packer.write(bytes);
    }
    return out.toByteArray();
  }

  @ParameterizedTest
  @ValueSource(strings = {".gz", ".zst"})
  void packedFilesAreReadAsTheyAreUnpacked(String suffix) throws IOException {
    Map<String, String> files =
        Map.of(
            "a.txt", BOM + "one ä\r\n",
            "b.jsonl", "{\"text\": \"one\"}\n{\"text\": \"two\"}\n",
            "c.csv", "id,text\n1,one\n",
            "d.json", "[{\"text\": \"one\"}]",
            "e.json", "{\"text\": \"one\"}\n{\"text\": \"two\"}\n");
    for (Map.Entry<String, String> each : files.entrySet()) {
      byte[] bytes = each.getValue().getBytes(StandardCharsets.UTF_8);
      Path path = directory.resolve(each.getKey().toUpperCase(Locale.ROOT) + suffix);
      List<String> plain = documents(file(each.getKey(), each.getValue()));
      Files.write(path, packed(suffix, bytes));
      assertThat(documents(path)).isEqualTo(plain);
      Files.write(path, packed(suffix, bytes), StandardOpenOption.APPEND); // cat a.gz b.gz
      if (each.getKey().equals("b.jsonl")) {
        assertThat(documents(path)).containsExactly("one", "two", "one", "two");
      }
      Files.write(path, Arrays.copyOf(packed(suffix, bytes), 15));
      refused(path, "cannot be unpacked: it is damaged or cut short");
      Files.write(path, bytes);
      refused(path, "cannot be unpacked: it is damaged or cut short, or not what its name says");
    }
    Path unnamed = Files.write(directory.resolve("x.txt"), packed(suffix, new byte[50]));
    refused(unnamed, "is compressed by " + (suffix.equals(".gz") ? "gzip" : "zstd"));
  }

  /** Zeros without end: little to read, much to come of it. */
  @ParameterizedTest
  @ValueSource(strings = {"a.txt.gz", "a.txt.zst", "a.jsonl.zst"})
  void aBombIsRefused(String name) throws IOException {
    String suffix = name.substring(name.lastIndexOf('.'));
    Path path = Files.write(directory.resolve(name), packed(suffix, new byte[80 << 20]));
    refused(path, "unpacks to more than 250 times its size; if that is meant, unpack it");
  }

  @Test
  void whatTheTokenizerCannotEncodeIsNamedWithItsRow() throws IOException {
    Path path = file("a.jsonl", "{\"text\": \"ab\"}\n{\"text\": \"aé\"}");
    TextFiles texts = TextFiles.of(List.of(path), TextFiles.TEXT);
    CharTokenizer tokenizer = CharTokenizer.of(Stream.of("ab\n"));
    assertThatThrownBy(() -> texts.encode(tokenizer, Separator.NEWLINE).close())
        .isInstanceOf(InputException.class)
        .hasMessageStartingWith(path + " line 2: character 'é' (U+00E9) is not in the vocabulary");
  }

  @ParameterizedTest
  @ValueSource(strings = {"ab\uD83D", "ab\uDE00", "ab\uDE00\uD83D"})
  void halfASurrogatePairIsNeverEncoded(String text) {
    assertThatThrownBy(
            () -> Texts.of("memory", text).encode(new ByteTokenizer(), Separator.NEWLINE).close())
        .isInstanceOf(InputException.class)
        .hasMessageStartingWith("memory: character 2 is half of a surrogate pair");
  }
}
