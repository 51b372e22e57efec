/** Many runs that differ in some settings: which to make, and what came of them. */
@NullMarked
package dev.javelin.train.sweep;

import org.jspecify.annotations.NullMarked;
