/**
 * From files to the [B, T] ids of a step: texts, token files, windows over tokens, and their order.
 */
@NullMarked
package dev.javelin.train.data;

import org.jspecify.annotations.NullMarked;
