/** The families of models, one file each: their {@code config.json} and their tensors' names. */
@NullMarked
package dev.javelin.nn.family;

import org.jspecify.annotations.NullMarked;
