/**
 * The file formats that documents come from. Each format is one {@link
 * dev.javelin.train.data.format.DataFormat}, listed in {@link
 * dev.javelin.train.data.format.DataFormats}; what is done with the documents is not known here.
 */
@NullMarked
package dev.javelin.train.data.format;

import org.jspecify.annotations.NullMarked;
