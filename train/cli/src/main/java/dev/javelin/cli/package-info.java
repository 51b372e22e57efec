/** The command line: verbs, settings from flags and YAML, exit codes. */
@NullMarked
package dev.javelin.cli;

import org.jspecify.annotations.NullMarked;
