/** Models as GGUF files, which llama.cpp and what is built on it run. */
@NullMarked
package dev.javelin.train.gguf;

import org.jspecify.annotations.NullMarked;
