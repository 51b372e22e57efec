/**
 * One class per operator: forward and backward on plain tensors; each checks its arguments at the
 * door, then switches over the device.
 */
@NullMarked
package dev.javelin.tensor.op;

import org.jspecify.annotations.NullMarked;
