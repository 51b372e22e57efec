/**
 * The settings of a run: immutable records, gathered in {@link
 * dev.javelin.train.settings.RunSettings}. A setting is a component of one of them; its key in YAML
 * is the component's name in snake_case, its flag on the command line the same in kebab-case.
 */
@NullMarked
package dev.javelin.train.settings;

import org.jspecify.annotations.NullMarked;
