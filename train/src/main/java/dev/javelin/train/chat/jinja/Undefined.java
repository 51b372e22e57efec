package dev.javelin.train.chat.jinja;

/**
 * What a name without a value gives: empty where it is printed, asked or gone through, an error
 * where anything else is done with it.
 *
 * @param name what was looked for, for messages
 */
record Undefined(String name) {
  TemplateException error() {
    return new TemplateException(0, name + " is undefined");
  }
}
