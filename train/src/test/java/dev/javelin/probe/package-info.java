/** What a user adds without touching the engine or the trainer. */
@NullMarked
package dev.javelin.probe;

import org.jspecify.annotations.NullMarked;
