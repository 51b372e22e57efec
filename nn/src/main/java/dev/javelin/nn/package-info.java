/**
 * Layers as records of parameters, the transformer built from them, and the names Hugging Face
 * gives them.
 */
@NullMarked
package dev.javelin.nn;

import org.jspecify.annotations.NullMarked;
