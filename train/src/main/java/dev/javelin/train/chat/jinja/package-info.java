/**
 * The part of Jinja that chat templates are written in: parsed, then rendered within bounds of
 * time, depth and memory, each character with a mark that says whether it came from the data.
 *
 * <p>Statements, expressions and white space are those of Jinja 3 as transformers sets it up
 * (trim_blocks, lstrip_blocks, loop controls, generation blocks, no side effects). What is not
 * known is refused by name and line.
 *
 * @see <a href="https://jinja.palletsprojects.com/en/stable/templates/">Jinja's templates</a>
 */
@NullMarked
package dev.javelin.train.chat.jinja;

import org.jspecify.annotations.NullMarked;
