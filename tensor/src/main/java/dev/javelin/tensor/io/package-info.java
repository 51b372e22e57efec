/** Files: safetensors, JSON, and writing that a crash cannot cut short. */
@NullMarked
package dev.javelin.tensor.io;

import org.jspecify.annotations.NullMarked;
