"""Writes oniguruma.json.gz: what Oniguruma, as Hugging Face's tokenizers use it, makes of patterns.

python3 oniguruma.py   (made with tokenizers 0.23.2)

classes   pattern of one character -> the code points it matches, as gaps and lengths of ranges
folds     code point -> the single code points that equal it but for case, itself left out
splits    [pattern, text, pieces]: Split, isolated
refused   patterns that are none
"""

import gzip
import json
import os
import sys
from pathlib import Path

from tokenizers import Regex, pre_tokenizers

os.environ["RUST_BACKTRACE"] = "0"
ALL = "".join(chr(c) for c in range(0x110000) if not 0xD800 <= c < 0xE000)

CATEGORIES = "L Lu Ll Lt LC Lm Lo M Mn Mc Me N Nd Nl No P Pc Pd Ps Pe Pi Pf Po S Sm Sc Sk So Z Zs Zl Zp C Cc Cf Co Cn".split()
LONG = "Letter Uppercase_Letter Cased_Letter Other_Letter Mark Combining_Mark Spacing_Mark Number Decimal_Number Punctuation Connector_Punctuation Symbol Math_Symbol Separator Space_Separator Other Control Format Private_Use Unassigned".split()
POSIX = "Alnum Alpha Blank Cntrl Digit Graph Lower Print Punct Space Upper XDigit Word ASCII".split()
OTHER = "Any Assigned PosixPunct Alphabetic Uppercase Lowercase White_Space Ideographic Hex_Digit ASCII_Hex_Digit Join_Control Emoji Emoji_Presentation Emoji_Modifier Emoji_Modifier_Base Emoji_Component Extended_Pictographic".split()
SCRIPTS = """COMMON LATIN GREEK CYRILLIC ARMENIAN HEBREW ARABIC SYRIAC THAANA DEVANAGARI BENGALI GURMUKHI GUJARATI ORIYA TAMIL TELUGU KANNADA MALAYALAM SINHALA
THAI LAO TIBETAN MYANMAR GEORGIAN HANGUL ETHIOPIC CHEROKEE CANADIAN_ABORIGINAL OGHAM RUNIC KHMER MONGOLIAN HIRAGANA KATAKANA BOPOMOFO HAN YI
OLD_ITALIC GOTHIC DESERET INHERITED TAGALOG HANUNOO BUHID TAGBANWA LIMBU TAI_LE LINEAR_B UGARITIC SHAVIAN OSMANYA CYPRIOT BRAILLE BUGINESE COPTIC
NEW_TAI_LUE GLAGOLITIC TIFINAGH SYLOTI_NAGRI OLD_PERSIAN KHAROSHTHI BALINESE CUNEIFORM PHOENICIAN PHAGS_PA NKO SUNDANESE BATAK LEPCHA OL_CHIKI VAI
SAURASHTRA KAYAH_LI REJANG LYCIAN CARIAN LYDIAN CHAM TAI_THAM TAI_VIET AVESTAN EGYPTIAN_HIEROGLYPHS SAMARITAN MANDAIC LISU BAMUM JAVANESE MEETEI_MAYEK
IMPERIAL_ARAMAIC OLD_SOUTH_ARABIAN INSCRIPTIONAL_PARTHIAN INSCRIPTIONAL_PAHLAVI OLD_TURKIC BRAHMI KAITHI MEROITIC_HIEROGLYPHS MEROITIC_CURSIVE
SORA_SOMPENG CHAKMA SHARADA TAKRI MIAO CAUCASIAN_ALBANIAN BASSA_VAH DUPLOYAN ELBASAN GRANTHA PAHAWH_HMONG KHOJKI LINEAR_A MAHAJANI MANICHAEAN
MENDE_KIKAKUI MODI MRO OLD_NORTH_ARABIAN NABATAEAN PALMYRENE PAU_CIN_HAU OLD_PERMIC PSALTER_PAHLAVI SIDDHAM KHUDAWADI TIRHUTA WARANG_CITI AHOM
ANATOLIAN_HIEROGLYPHS HATRAN MULTANI OLD_HUNGARIAN SIGNWRITING ADLAM BHAIKSUKI MARCHEN NEWA OSAGE TANGUT MASARAM_GONDI NUSHU SOYOMBO ZANABAZAR_SQUARE
HANIFI_ROHINGYA OLD_SOGDIAN SOGDIAN DOGRA GUNJALA_GONDI MAKASAR MEDEFAIDRIN ELYMAIC NANDINAGARI NYIAKENG_PUACHUE_HMONG WANCHO YEZIDI CHORASMIAN
DIVES_AKURU KHITAN_SMALL_SCRIPT VITHKUQI OLD_UYGHUR CYPRO_MINOAN TANGSA TOTO KAWI NAG_MUNDARI TODHRI GARAY TULU_TIGALARI SUNUWAR GURUNG_KHEMA
KIRAT_RAI OL_ONAL UNKNOWN""".split()
BLOCKS = """BASIC_LATIN LATIN_1_SUPPLEMENT LATIN_EXTENDED_A LATIN_EXTENDED_B IPA_EXTENSIONS SPACING_MODIFIER_LETTERS COMBINING_DIACRITICAL_MARKS GREEK CYRILLIC
CYRILLIC_SUPPLEMENTARY ARMENIAN HEBREW ARABIC SYRIAC ARABIC_SUPPLEMENT THAANA NKO SAMARITAN MANDAIC SYRIAC_SUPPLEMENT ARABIC_EXTENDED_B
ARABIC_EXTENDED_A DEVANAGARI BENGALI GURMUKHI GUJARATI ORIYA TAMIL TELUGU KANNADA MALAYALAM SINHALA THAI LAO TIBETAN MYANMAR GEORGIAN HANGUL_JAMO
ETHIOPIC ETHIOPIC_SUPPLEMENT CHEROKEE UNIFIED_CANADIAN_ABORIGINAL_SYLLABICS OGHAM RUNIC TAGALOG HANUNOO BUHID TAGBANWA KHMER MONGOLIAN
UNIFIED_CANADIAN_ABORIGINAL_SYLLABICS_EXTENDED LIMBU TAI_LE NEW_TAI_LUE KHMER_SYMBOLS BUGINESE TAI_THAM COMBINING_DIACRITICAL_MARKS_EXTENDED BALINESE
SUNDANESE BATAK LEPCHA OL_CHIKI CYRILLIC_EXTENDED_C GEORGIAN_EXTENDED SUNDANESE_SUPPLEMENT VEDIC_EXTENSIONS PHONETIC_EXTENSIONS
PHONETIC_EXTENSIONS_SUPPLEMENT COMBINING_DIACRITICAL_MARKS_SUPPLEMENT LATIN_EXTENDED_ADDITIONAL GREEK_EXTENDED GENERAL_PUNCTUATION
SUPERSCRIPTS_AND_SUBSCRIPTS CURRENCY_SYMBOLS COMBINING_MARKS_FOR_SYMBOLS LETTERLIKE_SYMBOLS NUMBER_FORMS ARROWS MATHEMATICAL_OPERATORS
MISCELLANEOUS_TECHNICAL CONTROL_PICTURES OPTICAL_CHARACTER_RECOGNITION ENCLOSED_ALPHANUMERICS BOX_DRAWING BLOCK_ELEMENTS GEOMETRIC_SHAPES
MISCELLANEOUS_SYMBOLS DINGBATS MISCELLANEOUS_MATHEMATICAL_SYMBOLS_A SUPPLEMENTAL_ARROWS_A BRAILLE_PATTERNS SUPPLEMENTAL_ARROWS_B
MISCELLANEOUS_MATHEMATICAL_SYMBOLS_B SUPPLEMENTAL_MATHEMATICAL_OPERATORS MISCELLANEOUS_SYMBOLS_AND_ARROWS GLAGOLITIC LATIN_EXTENDED_C COPTIC
GEORGIAN_SUPPLEMENT TIFINAGH ETHIOPIC_EXTENDED CYRILLIC_EXTENDED_A SUPPLEMENTAL_PUNCTUATION CJK_RADICALS_SUPPLEMENT KANGXI_RADICALS
IDEOGRAPHIC_DESCRIPTION_CHARACTERS CJK_SYMBOLS_AND_PUNCTUATION HIRAGANA KATAKANA BOPOMOFO HANGUL_COMPATIBILITY_JAMO KANBUN BOPOMOFO_EXTENDED
CJK_STROKES KATAKANA_PHONETIC_EXTENSIONS ENCLOSED_CJK_LETTERS_AND_MONTHS CJK_COMPATIBILITY CJK_UNIFIED_IDEOGRAPHS_EXTENSION_A YIJING_HEXAGRAM_SYMBOLS
CJK_UNIFIED_IDEOGRAPHS YI_SYLLABLES YI_RADICALS LISU VAI CYRILLIC_EXTENDED_B BAMUM MODIFIER_TONE_LETTERS LATIN_EXTENDED_D SYLOTI_NAGRI
COMMON_INDIC_NUMBER_FORMS PHAGS_PA SAURASHTRA DEVANAGARI_EXTENDED KAYAH_LI REJANG HANGUL_JAMO_EXTENDED_A JAVANESE MYANMAR_EXTENDED_B CHAM
MYANMAR_EXTENDED_A TAI_VIET MEETEI_MAYEK_EXTENSIONS ETHIOPIC_EXTENDED_A LATIN_EXTENDED_E CHEROKEE_SUPPLEMENT MEETEI_MAYEK HANGUL_SYLLABLES
HANGUL_JAMO_EXTENDED_B HIGH_SURROGATES HIGH_PRIVATE_USE_SURROGATES LOW_SURROGATES PRIVATE_USE_AREA CJK_COMPATIBILITY_IDEOGRAPHS
ALPHABETIC_PRESENTATION_FORMS ARABIC_PRESENTATION_FORMS_A VARIATION_SELECTORS VERTICAL_FORMS COMBINING_HALF_MARKS CJK_COMPATIBILITY_FORMS
SMALL_FORM_VARIANTS ARABIC_PRESENTATION_FORMS_B HALFWIDTH_AND_FULLWIDTH_FORMS SPECIALS LINEAR_B_SYLLABARY LINEAR_B_IDEOGRAMS AEGEAN_NUMBERS
ANCIENT_GREEK_NUMBERS ANCIENT_SYMBOLS PHAISTOS_DISC LYCIAN CARIAN COPTIC_EPACT_NUMBERS OLD_ITALIC GOTHIC OLD_PERMIC UGARITIC OLD_PERSIAN DESERET
SHAVIAN OSMANYA OSAGE ELBASAN CAUCASIAN_ALBANIAN VITHKUQI TODHRI LINEAR_A LATIN_EXTENDED_F CYPRIOT_SYLLABARY IMPERIAL_ARAMAIC PALMYRENE NABATAEAN
HATRAN PHOENICIAN LYDIAN MEROITIC_HIEROGLYPHS MEROITIC_CURSIVE KHAROSHTHI OLD_SOUTH_ARABIAN OLD_NORTH_ARABIAN MANICHAEAN AVESTAN
INSCRIPTIONAL_PARTHIAN INSCRIPTIONAL_PAHLAVI PSALTER_PAHLAVI OLD_TURKIC OLD_HUNGARIAN HANIFI_ROHINGYA GARAY RUMI_NUMERAL_SYMBOLS YEZIDI
ARABIC_EXTENDED_C OLD_SOGDIAN SOGDIAN OLD_UYGHUR CHORASMIAN ELYMAIC BRAHMI KAITHI SORA_SOMPENG CHAKMA MAHAJANI SHARADA SINHALA_ARCHAIC_NUMBERS KHOJKI
MULTANI KHUDAWADI GRANTHA TULU_TIGALARI NEWA TIRHUTA SIDDHAM MODI MONGOLIAN_SUPPLEMENT TAKRI MYANMAR_EXTENDED_C AHOM DOGRA WARANG_CITI DIVES_AKURU
NANDINAGARI ZANABAZAR_SQUARE SOYOMBO UNIFIED_CANADIAN_ABORIGINAL_SYLLABICS_EXTENDED_A PAU_CIN_HAU DEVANAGARI_EXTENDED_A SUNUWAR BHAIKSUKI MARCHEN
MASARAM_GONDI GUNJALA_GONDI MAKASAR KAWI LISU_SUPPLEMENT TAMIL_SUPPLEMENT CUNEIFORM CUNEIFORM_NUMBERS_AND_PUNCTUATION EARLY_DYNASTIC_CUNEIFORM
CYPRO_MINOAN EGYPTIAN_HIEROGLYPHS EGYPTIAN_HIEROGLYPH_FORMAT_CONTROLS EGYPTIAN_HIEROGLYPHS_EXTENDED_A ANATOLIAN_HIEROGLYPHS GURUNG_KHEMA
BAMUM_SUPPLEMENT MRO TANGSA BASSA_VAH PAHAWH_HMONG KIRAT_RAI MEDEFAIDRIN MIAO IDEOGRAPHIC_SYMBOLS_AND_PUNCTUATION TANGUT TANGUT_COMPONENTS
KHITAN_SMALL_SCRIPT TANGUT_SUPPLEMENT KANA_EXTENDED_B KANA_SUPPLEMENT KANA_EXTENDED_A SMALL_KANA_EXTENSION NUSHU DUPLOYAN SHORTHAND_FORMAT_CONTROLS
SYMBOLS_FOR_LEGACY_COMPUTING_SUPPLEMENT ZNAMENNY_MUSICAL_NOTATION BYZANTINE_MUSICAL_SYMBOLS MUSICAL_SYMBOLS ANCIENT_GREEK_MUSICAL_NOTATION
KAKTOVIK_NUMERALS MAYAN_NUMERALS TAI_XUAN_JING_SYMBOLS COUNTING_ROD_NUMERALS MATHEMATICAL_ALPHANUMERIC_SYMBOLS SUTTON_SIGNWRITING LATIN_EXTENDED_G
GLAGOLITIC_SUPPLEMENT CYRILLIC_EXTENDED_D NYIAKENG_PUACHUE_HMONG TOTO WANCHO NAG_MUNDARI OL_ONAL ETHIOPIC_EXTENDED_B MENDE_KIKAKUI ADLAM
INDIC_SIYAQ_NUMBERS OTTOMAN_SIYAQ_NUMBERS ARABIC_MATHEMATICAL_ALPHABETIC_SYMBOLS MAHJONG_TILES DOMINO_TILES PLAYING_CARDS
ENCLOSED_ALPHANUMERIC_SUPPLEMENT ENCLOSED_IDEOGRAPHIC_SUPPLEMENT MISCELLANEOUS_SYMBOLS_AND_PICTOGRAPHS EMOTICONS ORNAMENTAL_DINGBATS
TRANSPORT_AND_MAP_SYMBOLS ALCHEMICAL_SYMBOLS GEOMETRIC_SHAPES_EXTENDED SUPPLEMENTAL_ARROWS_C SUPPLEMENTAL_SYMBOLS_AND_PICTOGRAPHS CHESS_SYMBOLS
SYMBOLS_AND_PICTOGRAPHS_EXTENDED_A SYMBOLS_FOR_LEGACY_COMPUTING CJK_UNIFIED_IDEOGRAPHS_EXTENSION_B CJK_UNIFIED_IDEOGRAPHS_EXTENSION_C
CJK_UNIFIED_IDEOGRAPHS_EXTENSION_D CJK_UNIFIED_IDEOGRAPHS_EXTENSION_E CJK_UNIFIED_IDEOGRAPHS_EXTENSION_F CJK_UNIFIED_IDEOGRAPHS_EXTENSION_I
CJK_COMPATIBILITY_IDEOGRAPHS_SUPPLEMENT CJK_UNIFIED_IDEOGRAPHS_EXTENSION_G CJK_UNIFIED_IDEOGRAPHS_EXTENSION_H TAGS VARIATION_SELECTORS_SUPPLEMENT
SUPPLEMENTARY_PRIVATE_USE_AREA_A SUPPLEMENTARY_PRIVATE_USE_AREA_B""".split()

ESCAPES = r"\w \W \d \D \s \S \h \H \N \O \R . (?m:.) [\w] [^\w] [\W] [^\W] [\h] [^\h] [\s] [^\s] [\d] [\D]".split()
COMBINED = r"""[^\r\n\p{L}\p{N}] [^\s\p{L}\p{N}] [\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}] [\p{Ll}\p{Lm}\p{Lo}\p{M}] [\p{L}&&[^\p{Han}]] [^\p{L}&&[^a-z]] [\w&&[^\d_]]
[[:alpha:]&&[:^ascii:]] [[:alpha:][:digit:]] [^[:space:][:punct:]] [a-f&&\h&&[^c]] [\p{^L}] [^\p{^L}] \p{^L} \P{L} \P{^L} [\P{L}\p{Lu}] [一-龥぀-ゟ゠-ヿ] [\x{3400}-\x{4dbf}\u4e00-\u9fff] [\0-\37\177-\x{9f}]
(?i:[\p{Lu}]) (?i:\p{Lu}) (?i:[^\p{Lu}]) (?i:[a-z]) (?i:[^a-z]) (?i:[a&&[A]]) (?i:[[^a]]) (?i:[[:upper:]]) (?i:[\p{Greek}]) (?i:\w) (?i:[\w]) (?i:[k-s]) (?i:[ÿ-ſ]) (?<!\w)\w (?!\s)\W \b\w\b""".split()

NASTY = (
    "Hello, world!  It's 2024 -- don't SHOUT'S we'LL they'D I'M you're\n\n\n  indented\ttab \r\n line\r"
    "x=3.14159e-10; y[12345]==0xFFee || !z && _under_score camelCaseWord HTTPServer iPhone15Pro\n"
    "caf\u00e9 cafe\u0301 na\u00efve \u00c5ngstr\u00f6m stra\u00dfe \u1e9e \u017ft \ufb01n \u0130stanbul \u0131\u015f\u0131k\n"
    "\u4f60\u597d\uff0c\u4e16\u754c\uff01\u3053\u3093\u306b\u3061\u306f \u30ab\u30bf\u30ab\u30ca \ud55c\uad6d\uc5b4 \u0645\u06cc\u200c\u062e\u0648\u0627\u0647\u0645 \u0627\u0644\u0639\u0631\u0628\u064a\u0629\u060c "
    "\u0939\u093f\u0928\u094d\u0926\u0940 \u0e44\u0e17\u0e22 \u05e2\u05d1\u05e8\u05d9\u05ea \u0395\u03bb\u03bb\u03b7\u03bd\u03b9\u03ba\u03ac \u0440\u0443\u0441\u0441\u043a\u0438\u0439\n"
    "x\u00b2 \u00bd \u00be\u00b9 \u2460\u2167 \u0663\u0664 \U0001d7d8\U0001d7d9 \U0001f600\U0001f468\u200d\U0001f469\u200d\U0001f467 \U0001f1e9\U0001f1ea \u2764\ufe0f \u20ac100 $5.00 \u00a35\n"
    "a\u00a0b\u2003c\u2028d\u2029e\u0085f\u3000g\ufeffh\u00adi\u200bj \x00\x07\x1b\x7f \U0010ffff\U000e0041 <|end|> </s> http://a.b/c?d=e#f @user #tag\n"
    "!!!...???\n//**\n\n   \n \t \n'S'T'Re'VE'm'lL'D \u2019s \u2018tis 'ſ 'K 12 123 1234 12345 1234567 trailing   "
)

PUBLISHED = {
    "gpt2": r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+",
    "cl100k": r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+",
    "cl100k, tiktoken": r"'(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?+\p{L}++|\p{N}{1,3}+| ?[^\s\p{L}\p{N}]++[\r\n]*+|\s++$|\s*[\r\n]|\s+(?!\S)|\s",
    "o200k": r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+",
    "qwen2": r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+",
    "qwen3.5": r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?[\p{L}\p{M}]+|\p{N}| ?[^\s\p{L}\p{M}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+",
    "deepseek v3, digits": r"\p{N}{1,3}",
    "deepseek v3, cjk": r"[一-龥぀-ゟ゠-ヿ]+",
    "deepseek v3": r"[!\"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~][A-Za-z]+|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+| ?[\p{P}\p{S}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+",
    "deepseek llm, newline": r"[\r\n]",
    "deepseek llm, words": r"\s?[A-Za-zµÀ-ÖØ-öø-ƺƼ-ƿǄ-ʓʕ-ʯͰ-ͳͶͷͻ-ͽͿΆΈ-ΊΌΎ-ΡΣ-ϵϷ-ҁҊ-ԯԱ-ՖႠ-ჅᎠ-Ᏽᏸ-ᏽᲐ-ᲺᲽ-Ჿᴀ-ᴫᵫ-ᵷᵹ-ᶚḀ-ἕἘ-Ἕἠ-ὅὈ-Ὅὐ-ὗὙὛὝᾀ-ᾴᾶ-ᾼιῂ-ῄῆ-ῌῠ-Ῥῲ-ῴῶ-ῼℂℇℊ-ℓℕℙ-ℝℤΩℨK-ℭℯ-ℴℹℼ-ℿⅅ-ⅉⅎↃↄⰀ-ⱻⱾ-ⳤⳫ-ⳮⳲⳳꙀ-ꙭꚀ-ꚛꜢ-ꝯꝱ-ꞇꞋ-ꞎꭰ-ꮿﬀ-ﬆﬓ-ﬗＡ-Ｚａ-ｚ𐐀-𐑏𐒰-𐓓𐓘-𐓻𐲀-𐲲𐳀-𐳲𑢠-𑣟𞤀-𞥃]+",
    "deepseek llm, marks": r"\s?[!-/:-~！-／：-～‘-‟　-。]+",
    "deepseek llm, spaces": r"\s+$",
    "deepseek coder, cjk": r"[一-龥ࠀ-一가-퟿]+",
    "falcon, digits": r"[0-9][0-9][0-9]",
    "bloom": r" ?[^(\s|[.,!?…。，、।۔،])]+",
    "starcoder, gpt2": r"'(?:[sdmt]|ll|ve|re)| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+",
    "gpt-neox, codegen, phi": r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+",
    "tekken": r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+",
    "kimi k2": r"[\p{Han}]+|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}&&[^\p{Han}]]*[\p{Ll}\p{Lm}\p{Lo}\p{M}&&[^\p{Han}]]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}&&[^\p{Han}]]+[\p{Ll}\p{Lm}\p{Lo}\p{M}&&[^\p{Han}]]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+",
    "minerva, poro": r" ?[^(\s|[.,!?…。，、।۔،])]+",
    "viking": r" ?[^(\s|[.,!?…。，、।۔،])]+|\p{N}",
    "chameleon": r"<sentinel:[0-9]+>|(IMGIMG)((A|B|C|D|E|F|G|H|I){1,4})Z|([\t\n]|    |  )|\p{N}|[\p{P}\$\+<=>\^~\|`]+",
    "clip": r"'s|'t|'re|'ve|'m|'ll|'d|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+",
    "smollm, digits": r"\p{N}",
    "grok": r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+",
    "exaone": r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?(?:\p{L}\p{M}*(?: \p{L}\p{M}*)*)+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n/]?|\s*[\r\n]|\s+(?!\S)|\s+",
    "seed coder": r"(?:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1}| ?[^\s\p{L}\p{N}\r\n]+|\s*[\r\n]+|\s+(?!\S)|\s+",
    "dbrx": r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+",
    "albert, spaces": r" {2,}",
    "gemma": r" ",
    "words": r"\w+|[^\w\s]+",
    "words and marks": r"\b\w+\b|[[:punct:]]+",
    "persian": r"[\w\u200c]+|[^\w\s]",
    "digit triples": r"\d(?=(?:\d{3})+\b)",
    "camel": r"(?<=[a-z])(?=[A-Z])|_+|(?<!\p{L})\p{Lu}{2,}(?!\p{Ll})",
    "bytes": r"\h{2}",
    "lines": r"^.*$",
    "paragraphs": r"\R{2,}",
    "quoted": r"(?m:'.*?')|\"[^\"]*+\"",
    "emoji": r"\p{Extended_Pictographic}(?:\x{200d}\p{Extended_Pictographic})*+\x{fe0f}?",
}

PROBES = [
    ('a(?i)b|c', 'abaBcC'),
    ('(?m)a.', 'a\nab'),
    ('(?x) a b # c\n c', 'ab c abc'),
    ('a.', 'a\nab'),
    ('a{2}?', 'aaaa'),
    ('a{2}+', 'aaaaa'),
    ('a{1,2}+', 'aaaaa'),
    ('a{1,2}+a', 'aaaaa'),
    ('a{,2}', 'aaaaa'),
    ('a{3,1}', 'aaaaa'),
    ('a{,}', 'a{,}'),
    ('a{x', 'a{x'),
    ('{a', '{a'),
    ('a**', 'aab'),
    ('a+*', 'aab'),
    ('a+?', 'aa'),
    ('a++a', 'aa'),
    ('a*+a', 'aa'),
    ('a?+a', 'aa'),
    ('\\v', '\x0b\n\x0cv'),
    ('\\h', 'g4aFh'),
    ('\\H', 'g4aFh'),
    ('\\R', 'a\r\nb\n\x85\u2028c'),
    ('\\N+', 'ab\ncd'),
    ('\\O+', 'ab\ncd'),
    ('\\X', 'e\u0301a'),
    ('\\K', 'abc'),
    ('a\\Kb', 'abc'),
    ('\\Qa.b\\E', 'Qa.bE'),
    ('\\<a', '<a'),
    ('\\e\\a\\f', '\x1b\x07\x0c'),
    ('\\cA', '\x01'),
    ('\\C-a', '\x01'),
    ('\\M-a', 'x'),
    ('\\101', 'A'),
    ('\\0', '\x00'),
    ('\\08', '\x008'),
    ('\\12', '\n'),
    ('\\18', '\x018'),
    ('(a)\\1', 'aaa'),
    ('\\x41', 'A'),
    ('\\x{41}', 'A'),
    ('\\x{1F600}', '\U0001f600'),
    ('\\x{41 42}', 'AB'),
    ('\\u0041', 'A'),
    ('\\o{101}', 'A'),
    ('\\xC3\\xA4', '\xe4'),
    ('\\x4', '\x04'),
    ('\\x', 'x'),
    ('[]a]', ']ab'),
    ('[^]a]', ']ab'),
    ('[a-]', 'a-b'),
    ('[-a]', 'a-b'),
    ('[a-c-e]', 'abcde-'),
    ('[a-c-]', 'abc-'),
    ('[a&&]', 'a&'),
    ('[&&a]', 'a&'),
    ('[a-c&&b-d]', 'abcd'),
    ('[^a-c&&b-d]', 'abcde'),
    ('[a[bc]]', 'abc[]'),
    ('[a[^b]]', 'abc'),
    ('[a&b]', 'a&b'),
    ('[[:alpha:]1]', 'a1[:'),
    ('[[:^alpha:]]', 'a1[:'),
    ('[:alpha:]', 'alph:x'),
    ('[[:alpha:]&&[^a]]', 'ab1'),
    ('a]', 'a]'),
    ('[\\]]', ']'),
    ('[\\b]', '\x08'),
    ('[\\R]', '\nR'),
    ('[\\X]', 'X'),
    ('[\\n\\t]', '\n\t'),
    ('[\\B]', 'B'),
    ('[\\A]', 'A'),
    ('[\\q]', 'q\\'),
    ('[\\1]', '\x01'),
    ('[\\101]', 'A'),
    ('[a\\]b]', ']ab'),
    ('[\\p{L}&&[^a-z]]', 'aZ1\xe9'),
    ('[a-z&&[^aeiou]&&[a-m]]', 'abcdefnz'),
    ('[&&]', 'a&'),
    ('[a&&b&&]', 'ab&'),
    ('[^&&a]', 'ab&'),
    ('[a-z&&\\w]', 'ab&'),
    ('\\p{^L}', 'a1'),
    ('\\P{L}', 'a1'),
    ('\\P{^L}', 'a1'),
    ('\\pL', 'apL'),
    ('\\p{InBasicLatin}', 'a'),
    ('\\p{In_Basic_Latin}', 'a\xe9'),
    ('\\p{latin}', 'a\xe9'),
    ('\\p{ L a t i n }', 'a\xe9'),
    ('\\p{Lowercase_Letter}', 'aA'),
    ('\\p', 'ap'),
    ('\\p{LC}', 'aA1'),
    ('\\p{Any}', 'a\n'),
    ('\\p{ASCII}', 'a\xe9'),
    ('\\p{PosixPunct}', 'a$'),
    ('\\p{Word}', 'a$'),
    ('\\p{Alnum}', 'a$'),
    ('\\p{Emoji}', 'a1'),
    ('\\p{Extended_Pictographic}', 'a1\u2764'),
    ('\\p{Graph}', 'a 1'),
    ('\\p{Cn}', 'a\u0378'),
    ('\\p{Cs}', 'a'),
    ('\\p{C}', 'a\u0378'),
    ('\\p{M}', 'a\u0301'),
    ('\\p{Letter}', 'a\u0301'),
    ('\\p{XIDS}', 'a1_'),
    ('\\p{Emoji_Presentation}', 'a\u231a'),
    ('^a', 'a\na'),
    ('a$', 'a\na\n'),
    ('$', 'a\n'),
    ('^', 'a\n'),
    ('^', 'a\nb'),
    ('\\A', 'a\na'),
    ('a\\Z', 'a\n'),
    ('a\\z', 'a\n'),
    ('\\Ga', 'aaba'),
    ('\\b', 'ab cd'),
    ('\\B', 'ab cd'),
    ('x*', 'axb'),
    ('', 'ab'),
    ('(?=b)', 'ab'),
    ('(?<=a)b', 'ab'),
    ('(?<=a|bc)d', 'adbcd'),
    ('(?<=a+)b', 'aab'),
    ('(?<!a)b', 'abb'),
    ('(?<=(a))b', 'ab'),
    ('(?<=a*)b', 'ab'),
    ('(?>a+)a', 'aaa'),
    ('(?<n>a)\\k<n>', 'aa'),
    ("(?'n'a)", 'a'),
    ('(?~ab)', 'xxabxx'),
    ('(?#c)a', 'a'),
    ('(a)\\g<1>', 'aa'),
    ('(?:a)', 'a'),
    ('(?i:s)', 'sS\u017f'),
    ('(?i:ss)', 'ss \xdf \u1e9e sS'),
    ('(?i:\xdf)', 'ss \xdf \u1e9e SS'),
    ('(?i:[\xdf])', 'ss \xdf \u1e9e SS'),
    ('(?i:[^\xdf])', 'ss \xdf \u1e9e SS'),
    ('(?i:k)', 'kK\u212a'),
    ('(?i:\u017f)', 'sS\u017f'),
    ('(?i:st)', 'st \ufb06 \ufb05'),
    ('(?i:s)t', 'st \ufb06 \ufb05 St'),
    ('(?i:s)(?i:t)', 'st \ufb06 \ufb05 St'),
    ('(?i:s+)', 'ss\xdf'),
    ('(?i:(?:s)(?:s))', 'ss \xdf'),
    ('(?i:sss)', 'sss \xdfs s\xdf'),
    ('(?i:\\p{Lu})', 'aA1'),
    ('(?i:[\\p{Lu}])', 'aA1'),
    ('(?i:[\\p{Lu}1])', 'aA1'),
    ('(?i:[^\\p{Lu}])', 'aA1'),
    ('(?i:[^a])', 'aA1'),
    ('(?i:[[:upper:]])', 'aA1'),
    ('(?i:\\u0130)', 'i\u0307\u0130i\u0131'),
    ('(?i:i)', 'iI\u0130\u0131'),
    ('(?i:\u03c2)', '\u03c3\u03c2\u03a3'),
    ('(?i:[a-z])', '\u017fK\u212a'),
    ('(?i-i:a)', 'aA'),
    ('(?-i)a', 'aA'),
    ('(?i)a(?-i)b', 'AbAB'),
    ('(?im)a.', 'A\n'),
    ('(?W)\\w', 'a\xe9'),
    ('(?D)\\d', 'a1\u0663'),
    ('(?y{g})a', 'a'),
    ('(?P:\\w)', 'a\xe9'),
    ('(?I)a', 'aA'),
    ('(?L)a', 'a'),
    ('(?C)a', 'a'),
    ('a||b', 'ab'),
    ('(|a)b', 'ab'),
    ('()*a', 'a'),
    ('(?:a*)*b', 'aab'),
    ('(?:a|b*)*c', 'aabbc'),
    ('(?:a?)+?b', 'aab'),
    ('\\d+(?=\\d{3})', '1234567'),
    ('a{0}', 'ab'),
    ('a{0,0}b', 'ab'),
    ('a{1000}{1000}', 'a'),
    ('a\\ b', 'a b'),
    ('a\\-b', 'a-b'),
    ('\\\xe9', '\xe9'),
    ('\\y', 'a'),
    ('\\Y', 'a'),
    ('(?:(?i)a)b', 'AbAB'),
    ('(?i)(a|(?-i)b|c)d', 'adADbdBDcdCD'),
    ('(?i:s\xdf)', '\xdfs s\xdf sss \xdf\xdf'),
    ('(?i:\xdfs)', '\xdfs s\xdf sss \xdf\xdf'),
    ('(?i:\xdf\xdf)', '\xdf\xdf ss\xdf ssss \xdfss'),
    ('(?i:[\xdfs])', 'ss \xdf'),
    ('(?i:[s\xdf]+)', 'ss\xdf'),
    ('(?i:[a&&[A]])', 'aA'),
    ('(?i:[a&&A])', 'aA'),
    ('(?i:[^[^a]])', 'aA'),
    ('(?i:[[^a]])', 'aAb'),
    ('(?i:[[^a]b])', 'aAb'),
    ('(?i:[^A])', 'aAb'),
    ('(?i:[\\p{Lu}&&[^A]])', 'aAbB'),
    ('(?i:[\\p{Lu}&&[^A]1])', 'aAbB1'),
    ('(?i:[\xdf][\xdf])', '\xdfss ssss'),
    ('(?i:ss+)', 'sss \xdfs \xdf'),
    ('(?i:sst+)', 'sst \xdftt'),
    ('(?i:(?:s)s)', 'ss \xdf'),
    ('(?i:s(?:s))', 'ss \xdf'),
    ('(?i:(?:s|x)s)', 'ss \xdf'),
    ('(?i:(s)s)', 'ss \xdf'),
    ('(?i:\\x73\\x73)', 'ss \xdf'),
    ('(?i:[s]s)', 'ss \xdf'),
    ('(?i:[s][s])', 'ss \xdf'),
    ('(?i:ffi)', 'ffi \ufb03 \ufb00i f\ufb01'),
    ('(?i:\ufb03)', 'ffi \ufb03 \ufb00i f\ufb01'),
    ('(?i:ff)', 'ff \ufb00'),
    ('(?i:[\ufb03])', 'ffi \ufb03 \ufb00i f\ufb01 FFI'),
    ('(?i:[\\p{L}])', 'ss'),
    ('(?i:[\\p{L}]{2})', 'ss \xdf'),
    ('(?i:[^\\r\\n\\p{L}\\p{N}]?\\p{L}+)', 'ss \xdf'),
    ('(?i:[^\\r\\n\\p{L}\\p{N}])', 'ss \xdf..'),
    ('(?i:\u0130)', 'i\u0307 \u0130 i'),
    ('(?i:i\u0307)', 'i\u0307 \u0130 i'),
    ('(?i:\u01f0)', '\u01f0 \u01f0 J\u030c'),
    ('(?i:\u1e9e)', 'ss \xdf \u1e9e'),
    ('(?i:\xdf+)', 'ss\xdf'),
    ('(?i:ss?)', 'ss \xdf'),
    ('(?i)ss', 'ss \xdf'),
    ('(?i:a|ss)', 'ss \xdf'),
    ('(?i:\ufb06)', 'st \ufb06 \ufb05'),
    ('(?i:\u017ft)', 'st \ufb06 \ufb05 \u017ft'),
    ('(?i:[a-z])', 'st \ufb06 \ufb05 \u017ft'),
    ('(?i:[a-z])', '\xdf'),
    ('(?i:\\w)', '\xdf'),
    ('(?i:\u0345)', '\u0345\u03b9\u0399\u03b9'),
    ('(?i:\u1fb3)', '\u1fb3 \u03b1\u03b9 \u1fbc \u0391\u0399'),
    ('(?i:\u03b1\u03b9)', '\u1fb3 \u03b1\u03b9 \u1fbc \u0391\u0399'),
    ('(?i)(?-i:ss)', 'ss \xdf'),
    ('(?i:[ss])', 'ss \xdf'),
    ('(?i:s{2})', 'ss \xdf'),
    ('(?i:(?:ss){2})', 'ssss \xdf\xdf'),
    ('(?i:(?<=ss)a)', 'ssa \xdfa'),
    ('(?i:(?<=[\xdf])a)', 'ssa \xdfa'),
    ('(?i:(?<!ss)a)', 'ssa \xdfa'),
]

REFUSED = [
    '(?s)a.',
    '*a',
    '+',
    '?',
    'a|*',
    '(*a)',
    '\\1',
    '\\9',
    '\\u{41}',
    '\\xE4',
    '\\u41',
    '[]',
    '[a-\\d]',
    '[\\d-a]',
    '[z-a]',
    '[[:foo:]]',
    '[a[]',
    '[[a]',
    '[a',
    '\\p{Script=Latin}',
    '\\p{sc=Latin}',
    '\\p{IsLatin}',
    '\\p{gc=Lu}',
    '\\p{Lu',
    '\\p{foo}',
    '\\p{}',
    '\\p{L&}',
    '\\p{XPosixPunct}',
    '\\p{Age=6.0}',
    '\\p{Grapheme_Cluster_Break_Prepend}',
    '(?P<n>a)',
    '(?(1)a|b)',
    '(?a)a',
    '(?u)a',
    '(?w)a',
    '(',
    ')',
    '(?',
    '(?<n',
    'a\\',
    '(?:',
    '(?=a)*b',
    '(?=a)+',
    '^*',
    '\\b+',
    '(?<!a)*b',
    'a{100001}',
]


def ranges(pattern):
    split = pre_tokenizers.Split(Regex(f"(?:{pattern})+"), "removed", invert=True)
    gaps, last = [], 0
    for _, (start, end) in split.pre_tokenize_str(ALL):
        if gaps and start == last:
            gaps[-1] += end - start
        else:
            gaps += [start - last, end - start]
        last = end
    return " ".join(map(str, gaps))


def pieces(pattern, text):
    return [piece for piece, _ in pre_tokenizers.Split(Regex(pattern), "isolated").pre_tokenize_str(text)]


def classes():
    names = CATEGORIES + LONG + POSIX + OTHER
    patterns = ESCAPES + COMBINED + [rf"\p{{{name}}}" for name in names] + [rf"[\p{{{name}}}]" for name in POSIX]
    patterns += [f"[[:{name.lower()}:]]" for name in POSIX] + [f"[[:^{name.lower()}:]]" for name in POSIX]
    patterns += [rf"\p{{{name}}}" for name in SCRIPTS] + [rf"\p{{In_{name}}}" for name in BLOCKS]
    table = {}
    for pattern in patterns:
        try:
            Regex(pattern)
        except Exception as e:
            print("left out:", pattern, e, file=sys.stderr)
            continue
        table[pattern] = ranges(pattern)
    return table


def folds():
    cased = "".join(x for x in "".join(p for p, _ in pre_tokenizers.Split(Regex(r"[\p{Upper}\p{Lower}\p{Lt}\u0345]+"), "removed", invert=True).pre_tokenize_str(ALL)))
    table = {}
    for c in cased:
        equal = [p for p, _ in pre_tokenizers.Split(Regex(rf"(?i:[\x{{{ord(c):x}}}])"), "removed", invert=True).pre_tokenize_str(cased)]
        equal = [ord(p) for p in equal if len(p) == 1 and p != c]
        if equal:
            table[ord(c)] = equal
    return table


if __name__ == "__main__":
    for pattern in REFUSED:
        try:
            Regex(pattern)
            print("not refused:", pattern, file=sys.stderr)
        except Exception:
            pass
    splits = [[p, NASTY, pieces(p, NASTY)] for p in PUBLISHED.values()] + [[p, t, pieces(p, t)] for p, t in PROBES]
    out = {"classes": classes(), "folds": folds(), "splits": splits, "refused": REFUSED}
    data = json.dumps(out, ensure_ascii=True, separators=(",", ":")).encode()
    Path(__file__).with_suffix(".json.gz").write_bytes(gzip.compress(data, 9, mtime=0))
    print(len(data), "bytes of JSON;", len(out["classes"]), "classes,", len(out["folds"]), "folds,", len(splits), "splits", file=sys.stderr)
