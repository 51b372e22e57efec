/**
 * The tape, its variables, and the differentiable functions: each runs an operator forward and
 * records a closure that runs it backward.
 */
@NullMarked
package dev.javelin.autograd;

import org.jspecify.annotations.NullMarked;
