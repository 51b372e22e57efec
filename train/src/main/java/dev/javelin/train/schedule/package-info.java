/** Learning-rate schedules: pure functions of the step number. */
@NullMarked
package dev.javelin.train.schedule;

import org.jspecify.annotations.NullMarked;
