package dev.javelin.train.tokenizer;

import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.SequencedMap;

/** What stands in code beside published rank files of tiktoken's form. */
enum TiktokenEncoding {
  R50K("r50k_base.tiktoken", 50256, Words.R50K),
  P50K("p50k_base.tiktoken", 50280, Words.R50K),
  CL100K("cl100k_base.tiktoken", 100256, Words.CL100K),
  O200K("o200k_base.tiktoken", 199998, Words.O200K),
  QWEN("qwen.tiktoken", 151643, Words.QWEN),
  LLAMA3("tokenizer.model", 128000, Words.CL100K);

  /** Patterns that cut a text into words, without tiktoken's possessive shortcuts. */
  private static final class Words {
    private static final String R50K =
        "'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+";
    private static final String REST =
        "| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+";
    private static final String ENDINGS = "(?i:'s|'t|'re|'ve|'m|'ll|'d)";
    private static final String CL100K =
        ENDINGS + "|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}{1,3}" + REST;
    private static final String QWEN = ENDINGS + "|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}" + REST;
    private static final String UPPER = "[\\p{Lu}\\p{Lt}\\p{Lm}\\p{Lo}\\p{M}]";
    private static final String LOWER = "[\\p{Ll}\\p{Lm}\\p{Lo}\\p{M}]";
    private static final String O200K =
        "[^\\r\\n\\p{L}\\p{N}]?"
            + UPPER
            + "*"
            + LOWER
            + "+"
            + ENDINGS
            + "?"
            + "|[^\\r\\n\\p{L}\\p{N}]?"
            + UPPER
            + "+"
            + LOWER
            + "*"
            + ENDINGS
            + "?"
            + "|\\p{N}{1,3}"
            + REST.replace("[\\r\\n]*|\\s*", "[\\r\\n/]*|\\s*");
  }

  private static final String END_OF_TEXT = "<|endoftext|>";

  private final String fileName;
  private final int ranks;
  private final String words;

  TiktokenEncoding(String fileName, int ranks, String words) {
    this.fileName = fileName;
    this.ranks = ranks;
    this.words = words;
  }

  String fileName() {
    return fileName;
  }

  /** How many ranks the published file has. */
  int ranks() {
    return ranks;
  }

  /** The pattern, in Oniguruma's syntax. */
  String words() {
    return words;
  }

  /** The special tokens; the first ends a text. */
  SequencedMap<String, Integer> specials() {
    SequencedMap<String, Integer> specials = new LinkedHashMap<>();
    switch (this) {
      case R50K, P50K -> specials.put(END_OF_TEXT, 50256);
      case CL100K -> {
        specials.put(END_OF_TEXT, 100257);
        specials.put("<|fim_prefix|>", 100258);
        specials.put("<|fim_middle|>", 100259);
        specials.put("<|fim_suffix|>", 100260);
        specials.put("<|endofprompt|>", 100276);
      }
      case O200K -> {
        specials.put(END_OF_TEXT, 199999);
        specials.put("<|endofprompt|>", 200018);
      }
      case QWEN -> {
        List<String> names = new ArrayList<>(List.of(END_OF_TEXT, "<|im_start|>", "<|im_end|>"));
        for (int i = 0; i < 205; i++) {
          names.add("<|extra_" + i + "|>");
        }
        names.forEach(name -> specials.put(name, ranks + specials.size()));
      }
      case LLAMA3 -> {
        specials.put("<|end_of_text|>", ranks + 1);
        specials.put("<|begin_of_text|>", ranks);
        for (int i = 0; i < 4; i++) {
          specials.put(reserved(i), ranks + 2 + i);
        }
        specials.put("<|start_header_id|>", ranks + 6);
        specials.put("<|end_header_id|>", ranks + 7);
        specials.put(reserved(4), ranks + 8);
        specials.put("<|eot_id|>", ranks + 9);
        for (int i = 5; i < 251; i++) {
          specials.put(reserved(i), ranks + 5 + i);
        }
      }
    }
    return specials;
  }

  private static String reserved(int i) {
    return "<|reserved_special_token_" + i + "|>";
  }
}
