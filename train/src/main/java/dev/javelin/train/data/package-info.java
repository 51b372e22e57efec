/**
 * From files to the [B, T] ids of a step: texts, token files, the windows of a token sequence, and
 * the order they are read in.
 */
@NullMarked
package dev.javelin.train.data;

import org.jspecify.annotations.NullMarked;
