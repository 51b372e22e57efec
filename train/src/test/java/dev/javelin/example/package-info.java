/** Javelin used as a library. */
@NullMarked
package dev.javelin.example;

import org.jspecify.annotations.NullMarked;
