/**
 * Devices and their memory: what an element type is, where bytes live, and how work is handed to
 * the cores. Nothing here knows of tensors, shapes or mathematics.
 */
@NullMarked
package dev.javelin.device;

import org.jspecify.annotations.NullMarked;
