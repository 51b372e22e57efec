/** Ranks: processes that train one model together. */
@NullMarked
package dev.javelin.train.ranks;

import org.jspecify.annotations.NullMarked;
