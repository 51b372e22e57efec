/**
 * The programs that the pages of {@code docs/handbook} show, and the tests that hold both to it.
 */
@NullMarked
package dev.javelin.example.handbook;

import org.jspecify.annotations.NullMarked;
