/** What kernels of all devices share. */
@NullMarked
package dev.javelin.kernels;

import org.jspecify.annotations.NullMarked;
