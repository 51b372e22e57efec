/** Hooks that look at a training's health and change nothing of it. */
@NullMarked
package dev.javelin.train.health;

import org.jspecify.annotations.NullMarked;
