/** What training minimises: one file per objective. */
@NullMarked
package dev.javelin.train.objective;

import org.jspecify.annotations.NullMarked;
