/**
 * Regular expressions with the meaning that Oniguruma gives them. {@code tokenizer.json} means that
 * language, and {@code java.util.regex} differs from it in silence: {@code \w}, {@code \h}, {@code
 * {n,m}+}, {@code (?m)}, {@code (?i)} and more. {@link
 * dev.javelin.train.tokenizer.oniguruma.OnigPattern} says what is understood and what is refused.
 */
@NullMarked
package dev.javelin.train.tokenizer.oniguruma;

import org.jspecify.annotations.NullMarked;
