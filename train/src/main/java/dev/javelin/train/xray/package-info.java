/**
 * One real training step of a decoder on a text, taken apart: what a page shows that explains it,
 * as plain records.
 */
@NullMarked
package dev.javelin.train.xray;

import org.jspecify.annotations.NullMarked;
