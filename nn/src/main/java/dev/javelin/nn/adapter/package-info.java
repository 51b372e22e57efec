/** Adapters that are trained beside a frozen model, and their files in the form of PEFT. */
@NullMarked
package dev.javelin.nn.adapter;

import org.jspecify.annotations.NullMarked;
