/** The command line: verbs, settings from flags and YAML, exit codes. */
@NullMarked
package dev.javelin.train.cli;

import org.jspecify.annotations.NullMarked;
