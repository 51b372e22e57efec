package dev.javelin.train.tokenizer.oniguruma;

import java.util.HashMap;
import java.util.Locale;
import java.util.Map;
import java.util.Objects;
import java.util.concurrent.ConcurrentHashMap;
import java.util.function.IntPredicate;
import java.util.regex.Pattern;
import org.jspecify.annotations.Nullable;

/**
 * The sets that {@code \p{…}}, POSIX brackets and {@code \w \d \s \h} name, from Unicode's data as
 * the Java platform holds it: general categories, scripts, blocks ({@code In_…}), POSIX classes and
 * the binary properties that Java knows. Case, spaces, hyphens and underscores of a name do not
 * count.
 */
final class UnicodeSets {
  /** Unicode's names of the general categories, in the order of Java's numbers below. */
  private static final String[][] CATEGORY_NAMES = {
    {"lu", "uppercaseletter"},
    {"ll", "lowercaseletter"},
    {"lt", "titlecaseletter"},
    {"lm", "modifierletter"},
    {"lo", "otherletter"},
    {"mn", "nonspacingmark"},
    {"me", "enclosingmark"},
    {"mc", "spacingmark"},
    {"nd", "decimalnumber"},
    {"nl", "letternumber"},
    {"no", "othernumber"},
    {"zs", "spaceseparator"},
    {"zl", "lineseparator"},
    {"zp", "paragraphseparator"},
    {"cc", "control"},
    {"cf", "format"},
    {"co", "privateuse"},
    {"cs", "surrogate"},
    {"pd", "dashpunctuation"},
    {"ps", "openpunctuation"},
    {"pe", "closepunctuation"},
    {"pc", "connectorpunctuation"},
    {"po", "otherpunctuation"},
    {"sm", "mathsymbol"},
    {"sc", "currencysymbol"},
    {"sk", "modifiersymbol"},
    {"so", "othersymbol"},
    {"pi", "initialpunctuation"},
    {"pf", "finalpunctuation"},
    {"cn", "unassigned"},
  };

  private static final int[] CATEGORY_TYPES = {
    1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27,
    28, 29, 30, 0
  };

  /** Bits {@code 1 << Character.getType(c)} of each category, and of the groups of categories. */
  private static final Map<String, Integer> CATEGORIES = categories();

  private static final IntPredicate WORD_TYPES =
      category(
          1 << Character.NON_SPACING_MARK
              | 1 << Character.ENCLOSING_MARK
              | 1 << Character.COMBINING_SPACING_MARK
              | 1 << Character.DECIMAL_DIGIT_NUMBER
              | 1 << Character.CONNECTOR_PUNCTUATION);

  private static final Map<String, IntPredicate> PROPERTIES = properties();
  private static final Map<String, CodePointSet> SETS = new ConcurrentHashMap<>();
  private static final Pattern PADDING = Pattern.compile("[ _-]");

  static final CodePointSet DIGIT = required("nd");
  static final CodePointSet SPACE = required("space");
  static final CodePointSet NEWLINE = CodePointSet.of('\n');
  static final CodePointSet ASCII = CodePointSet.range(0, 0x7F);

  /** Sets that few patterns name: made when the first one does, like the names below. */
  static final class Words {
    /** {@code \\w} in brackets: letters, marks, decimal digits and connectors; no joiners. */
    static final CodePointSet WORD = required("word");

    /** {@code \\w} and {@code \\p{Word}} outside brackets, where Oniguruma adds ² ³ ¹ ¼ ½ ¾. */
    static final CodePointSet BARE_WORD =
        WORD.or(CodePointSet.where(c -> c < 256 && Character.getType(c) == Character.OTHER_NUMBER));

    /** Rust's {@code \\w}, which has the joiners. */
    static final CodePointSet RUST_WORD = WORD.or(CodePointSet.range(0x200C, 0x200D));

    private Words() {}
  }

  private static final class Blocks {
    static final Map<String, Character.UnicodeBlock> BY_NAME = blocks();

    private Blocks() {}
  }

  private static final class Scripts {
    static final Map<String, Character.UnicodeScript> BY_NAME = scripts();

    private Scripts() {}
  }

  private UnicodeSets() {}

  static CodePointSet required(String name) {
    return Objects.requireNonNull(named(name));
  }

  /** The set of a property, or null where there is none of that name here. */
  static @Nullable CodePointSet named(String property) {
    String name = plain(property);
    CodePointSet known = SETS.get(name);
    if (known == null) {
      IntPredicate member = member(name);
      if (member == null) {
        return null;
      }
      known = CodePointSet.where(member);
      SETS.put(name, known);
    }
    return known;
  }

  /** Whether that names what {@code \\w} stands for. */
  static boolean isWord(String property) {
    return plain(property).equals("word");
  }

  private static String plain(String name) {
    return PADDING.matcher(name).replaceAll("").toLowerCase(Locale.ROOT);
  }

  private static @Nullable IntPredicate member(String name) {
    int equals = name.indexOf('=');
    if (equals >= 0) {
      return ofKind(name.substring(0, equals), name.substring(equals + 1));
    }
    Integer mask = CATEGORIES.get(name);
    if (mask != null) {
      return category(mask);
    }
    IntPredicate property = PROPERTIES.get(name);
    if (property != null) {
      return property;
    }
    if (name.startsWith("in")) {
      Character.UnicodeBlock block = Blocks.BY_NAME.get(name.substring(2));
      if (block != null) {
        return c -> block.equals(Character.UnicodeBlock.of(c));
      }
    }
    Character.UnicodeScript script = script(name);
    return script == null ? null : c -> Character.UnicodeScript.of(c) == script;
  }

  /** {@code Script=Han}, {@code sc=Han}, {@code gc=Lu}: Rust's form, which Oniguruma has not. */
  private static @Nullable IntPredicate ofKind(String kind, String value) {
    return switch (kind) {
      case "script", "sc" -> {
        Character.UnicodeScript script = script(value);
        yield script == null ? null : c -> Character.UnicodeScript.of(c) == script;
      }
      case "generalcategory", "gc" -> {
        Integer mask = CATEGORIES.get(value);
        yield mask == null ? null : category(mask);
      }
      default -> null;
    };
  }

  private static Character.@Nullable UnicodeScript script(String name) {
    Character.UnicodeScript script = Scripts.BY_NAME.get(name);
    if (script != null || name.length() != 4) {
      return script;
    }
    try {
      return Character.UnicodeScript.forName(name); // a short name: Latn
    } catch (IllegalArgumentException e) {
      return null;
    }
  }

  private static IntPredicate category(int mask) {
    return c -> (mask >>> Character.getType(c) & 1) != 0;
  }

  private static Map<String, Integer> categories() {
    Map<String, Integer> masks = new HashMap<>();
    for (int i = 0; i < CATEGORY_TYPES.length; i++) {
      int mask = 1 << CATEGORY_TYPES[i];
      masks.put(CATEGORY_NAMES[i][0], mask);
      masks.put(CATEGORY_NAMES[i][1], mask);
      masks.merge(CATEGORY_NAMES[i][0].substring(0, 1), mask, (a, b) -> a | b);
    }
    int cased = 1 << Character.UPPERCASE_LETTER | 1 << Character.LOWERCASE_LETTER;
    masks.put("lc", cased | 1 << Character.TITLECASE_LETTER);
    String[][] aliases = {
      {"letter", "l"},
      {"casedletter", "lc"},
      {"mark", "m"},
      {"combiningmark", "m"},
      {"number", "n"},
      {"digit", "nd"},
      {"punctuation", "p"},
      {"punct", "p"},
      {"symbol", "s"},
      {"separator", "z"},
      {"other", "c"},
      {"cntrl", "cc"},
    };
    for (String[] alias : aliases) {
      masks.put(alias[0], Objects.requireNonNull(masks.get(alias[1])));
    }
    return masks;
  }

  private static Map<String, IntPredicate> properties() {
    Map<String, IntPredicate> map = new HashMap<>();
    IntPredicate digit = category(1 << Character.DECIMAL_DIGIT_NUMBER);
    IntPredicate space = UnicodeSets::whiteSpace;
    IntPredicate asciiHex = c -> c < 128 && Character.digit(c, 16) >= 0;
    IntPredicate graph =
        c ->
            !whiteSpace(c)
                && Character.isDefined(c)
                && !Character.isISOControl(c)
                && Character.getType(c) != Character.SURROGATE;
    IntPredicate zs = category(1 << Character.SPACE_SEPARATOR);
    IntPredicate punctuationAndSymbols =
        category(
            Objects.requireNonNull(CATEGORIES.get("p"))
                | Objects.requireNonNull(CATEGORIES.get("s")));
    put(map, c -> true, "any");
    put(map, c -> c < 128, "ascii");
    put(map, Character::isDefined, "assigned");
    put(map, Character::isAlphabetic, "alphabetic", "alpha");
    put(map, Character::isUpperCase, "uppercase", "upper");
    put(map, Character::isLowerCase, "lowercase", "lower");
    put(map, c -> Character.isAlphabetic(c) || digit.test(c), "alnum");
    put(map, space, "whitespace", "wspace", "space");
    put(map, c -> c == '\t' || zs.test(c), "blank");
    put(map, punctuationAndSymbols, "posixpunct");
    put(map, c -> graph.test(c) || zs.test(c), "print");
    put(map, asciiHex, "xdigit", "asciihexdigit", "ahex");
    put(map, c -> asciiHex.test(c) || fullWidthHex(c), "hexdigit", "hex");
    put(map, graph, "graph");
    put(map, UnicodeSets::word, "word");
    put(map, Character::isIdeographic, "ideographic", "ideo");
    put(map, c -> c == 0x200C || c == 0x200D, "joincontrol", "joinc");
    put(map, Character::isEmoji, "emoji");
    put(map, Character::isEmojiPresentation, "emojipresentation", "epres");
    put(map, Character::isEmojiModifier, "emojimodifier", "emod");
    put(map, Character::isEmojiModifierBase, "emojimodifierbase", "ebase");
    put(map, Character::isEmojiComponent, "emojicomponent", "ecomp");
    put(map, Character::isExtendedPictographic, "extendedpictographic", "extpict");
    return map;
  }

  private static void put(Map<String, IntPredicate> map, IntPredicate member, String... names) {
    for (String name : names) {
      map.put(name, member);
    }
  }

  private static boolean fullWidthHex(int c) {
    return c >= 0xFF10 && c <= 0xFF19 || c >= 0xFF21 && c <= 0xFF26 || c >= 0xFF41 && c <= 0xFF46;
  }

  private static boolean whiteSpace(int c) {
    return c >= '\t' && c <= '\r' || c == 0x85 || Character.isSpaceChar(c);
  }

  private static boolean word(int c) {
    return Character.isAlphabetic(c) || WORD_TYPES.test(c);
  }

  private static Map<String, Character.UnicodeBlock> blocks() {
    Map<String, Character.UnicodeBlock> blocks = new HashMap<>();
    for (int c = 0; c < CodePointSet.LIMIT; c += 16) { // blocks begin at multiples of sixteen
      Character.UnicodeBlock block = Character.UnicodeBlock.of(c);
      if (block != null) {
        blocks.put(plain(block.toString()), block);
      }
    }
    return blocks;
  }

  private static Map<String, Character.UnicodeScript> scripts() {
    Map<String, Character.UnicodeScript> scripts = new HashMap<>();
    for (Character.UnicodeScript script : Character.UnicodeScript.values()) {
      scripts.put(plain(script.name()), script);
    }
    return scripts;
  }
}
