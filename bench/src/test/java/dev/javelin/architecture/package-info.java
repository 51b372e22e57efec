/** What the modules promise each other, checked on their class files. */
@NullMarked
package dev.javelin.architecture;

import org.jspecify.annotations.NullMarked;
