/** A run as a page: its curves, events, samples and settings, read from its directory. */
@NullMarked
package dev.javelin.train.report;

import org.jspecify.annotations.NullMarked;
