package dev.javelin.train.trace;

import org.jspecify.annotations.Nullable;

/**
 * One thing that a thread did.
 *
 * @param what {@code read}, {@code write}, {@code copy}, the name of a barrier or of a warp's
 *     operation
 * @param of the name of the memory; empty where it is none
 * @param where {@code x[0, 4..7]}; empty likewise
 * @param values as they were read or written, or what was given and got
 * @param bytes moved
 * @param line of the source, where it is known
 */
record Step(
    int number,
    Event event,
    String what,
    String of,
    String where,
    String values,
    int bytes,
    SourceLines.@Nullable Line line) {

  /** Equal for steps that differ in element and value only: iterations of a loop. */
  String kind() {
    return (line == null ? "" : line.place()) + " " + what + " " + of + " " + bytes;
  }
}
