package dev.javelin.cli;

import static java.nio.charset.StandardCharsets.UTF_8;

import dev.javelin.tensor.io.Printable;
import dev.javelin.train.data.InputException;
import java.io.IOException;
import java.io.PrintWriter;
import java.nio.ByteBuffer;
import java.nio.charset.CharacterCodingException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.regex.Pattern;
import jdk.jshell.DeclarationSnippet;
import jdk.jshell.Diag;
import jdk.jshell.EvalException;
import jdk.jshell.JShell;
import jdk.jshell.JShellException;
import jdk.jshell.Snippet;
import jdk.jshell.Snippet.Status;
import jdk.jshell.SnippetEvent;
import jdk.jshell.SourceCodeAnalysis.Completeness;
import jdk.jshell.SourceCodeAnalysis.CompletionInfo;
import jdk.jshell.UnresolvedReferenceException;
import jdk.jshell.execution.DirectExecutionControl;
import jdk.jshell.spi.ExecutionControl;
import jdk.jshell.spi.ExecutionControlProvider;
import jdk.jshell.spi.ExecutionEnv;
import org.jspecify.annotations.Nullable;

/**
 * Scripts of JShell, run in this process and on this thread up to the first error, which is told
 * with file and line. As in JShell a line that could be complete is, so a statement need not end in
 * a semicolon. Of JShell's own commands a script may have {@code /exit}.
 */
final class Script implements AutoCloseable {
  private static final String STDIN = "-";
  private static final String NO_NAME = "";

  /** How a line begins that goes on with a statement: by a dot or an operator, as one formats. */
  private static final Pattern GOES_ON =
      Pattern.compile("(?!//|/\\*|\\+\\+|--|/exit)[.?:+\\-*/%&|^=<>]");

  private final JShell shell;
  private final PrintWriter err;
  private final Map<String, Place> places = new HashMap<>(); // by id of a snippet

  /** Where a snippet begins. */
  private record Place(String file, int line) {
    Place plus(int lines) {
      return new Place(file, line + lines);
    }

    @Override
    public String toString() {
      return file + ":" + line;
    }
  }

  private Script(PrintWriter err) {
    this.err = err;
    this.shell =
        JShell.builder()
            .executionEngine(new Here(), Map.of())
            .compilerOptions(Shell.compilerOptions().toArray(new String[0]))
            .build();
  }

  /** Runs snippets on the thread that asks: memory and devices of Javelin belong to a thread. */
  static final class Here implements ExecutionControlProvider {
    @Override
    public String name() {
      return "here";
    }

    @Override
    public ExecutionControl generate(ExecutionEnv env, Map<String, String> parameters) {
      return new DirectExecutionControl();
    }
  }

  /** Runs the scripts one behind the other; returns the exit code. */
  static int run(List<String> files, List<String> args, PrintWriter err) throws IOException {
    return run(files, Shell.imports() + Shell.arguments(args), err);
  }

  /** The same behind other imports. */
  static int run(List<String> files, String start, PrintWriter err) throws IOException {
    List<String> texts = new ArrayList<>();
    for (String file : files) {
      texts.add(read(file));
    }
    try (Script script = new Script(err)) {
      Integer exit = script.run(NO_NAME, start);
      for (int i = 0; exit == null && i < texts.size(); i++) {
        exit = script.run(files.get(i), texts.get(i));
        exit = exit == null && script.unresolved() ? Integer.valueOf(Main.FAILURE) : exit;
      }
      return exit == null ? Main.OK : exit;
    }
  }

  private static String read(String file) throws IOException {
    byte[] bytes =
        file.equals(STDIN) ? System.in.readAllBytes() : Files.readAllBytes(Path.of(file));
    try {
      return UTF_8.newDecoder().decode(ByteBuffer.wrap(bytes)).toString();
    } catch (CharacterCodingException e) {
      throw new InputException(file + ": is not UTF-8 text: convert it with iconv", e);
    }
  }

  /** Runs a text; returns the exit code where the scripts end with it. */
  private @Nullable Integer run(String file, String text) {
    List<String> lines = text.lines().toList();
    StringBuilder source = new StringBuilder();
    int first = 1;
    for (int i = 0; i < lines.size(); i++) {
      String line = lines.get(i);
      if (source.isEmpty()) {
        first = i + 1;
        String command = line.strip();
        if (command.equals("/exit")) {
          return Main.OK;
        }
        if (command.matches("/[a-z!?-].*")) {
          return error(new Place(file, first), "a script has no commands but /exit", line);
        }
        if (command.isEmpty() || first == 1 && line.startsWith("#!")) {
          continue;
        }
      }
      source.append(line).append('\n');
      CompletionInfo next = shell.sourceCodeAnalysis().analyzeCompletion(source.toString());
      while (ends(next, source, following(lines, i))) {
        Place place = new Place(file, first);
        if (next.completeness() == Completeness.DEFINITELY_INCOMPLETE) {
          return error(place, "the file ends within this statement", lines.get(first - 1));
        }
        if (!evaluate(next.source(), place)) {
          return Main.FAILURE;
        }
        String rest = next.remaining();
        first += (int) source.substring(0, source.length() - rest.length()).lines().count() - 1;
        source.setLength(0);
        source.append(rest);
        next = shell.sourceCodeAnalysis().analyzeCompletion(rest);
      }
      if (next.completeness() == Completeness.EMPTY) {
        source.setLength(0);
      }
    }
    return null;
  }

  /** The next line that is not blank; null at the end. */
  private static @Nullable String following(List<String> lines, int i) {
    return lines.stream()
        .skip(i + 1L)
        .map(String::strip)
        .filter(s -> !s.isEmpty())
        .findFirst()
        .orElse(null);
  }

  private static boolean ends(
      CompletionInfo next, CharSequence source, @Nullable String following) {
    return switch (next.completeness()) {
      case COMPLETE, COMPLETE_WITH_SEMI ->
          following == null
              || !next.remaining().isBlank()
              || !(following.matches("else\\b.*")
                  || !source.toString().strip().endsWith(";")
                      && GOES_ON.matcher(following).lookingAt());
      case UNKNOWN -> true;
      case CONSIDERED_INCOMPLETE, DEFINITELY_INCOMPLETE -> following == null;
      case EMPTY -> false;
    };
  }

  /** Whether all went well. */
  private boolean evaluate(String source, Place place) {
    for (SnippetEvent event : shell.eval(source)) {
      Snippet snippet = event.snippet();
      if (event.causeSnippet() == null) {
        places.put(snippet.id(), place);
      }
      if (event.status() == Status.REJECTED) {
        rejected(snippet, place);
        return false;
      }
      if (event.exception() != null) {
        thrown(event.exception(), place);
        return false;
      }
    }
    return true;
  }

  private void rejected(Snippet snippet, Place place) {
    String source = snippet.source();
    Diag first = shell.diagnostics(snippet).filter(Diag::isError).findFirst().orElse(null);
    if (first == null) {
      error(place, "is not Java", source);
      return;
    }
    int at = (int) Math.clamp(first.getPosition(), 0, source.length());
    int line = (int) source.substring(0, at).chars().filter(c -> c == '\n').count();
    int begin = source.lastIndexOf('\n', Math.max(0, at - 1)) + 1;
    int end = source.indexOf('\n', at);
    String text = source.substring(Math.min(begin, at), end < 0 ? source.length() : end);
    error(place.plus(line), first.getMessage(Locale.ROOT), text);
  }

  private int error(Place place, String message, String source) {
    err.println("javelin: " + place + ": " + message);
    err.println("    " + Printable.line(source.strip()));
    err.flush();
    return Main.FAILURE;
  }

  private void thrown(JShellException e, Place place) {
    if (e instanceof UnresolvedReferenceException u) {
      missing(u.getSnippet(), places.getOrDefault(u.getSnippet().id(), place));
      return;
    }
    String message = e.getMessage() == null ? "" : ": " + e.getMessage();
    String name = e instanceof EvalException t ? t.getExceptionClassName() : "";
    err.println("javelin: " + place + ": " + name + message);
    for (StackTraceElement frame : e.getStackTrace()) {
      String file = String.valueOf(frame.getFileName());
      Place from = file.startsWith("#") ? places.get(file.substring(1)) : null;
      err.println(
          "    at "
              + (from == null
                  ? frame
                  : frame.getMethodName() + "(" + from.plus(frame.getLineNumber() - 1) + ")"));
    }
    err.flush();
  }

  /** A method may name what comes later in its file. */
  private boolean unresolved() {
    for (Snippet snippet : shell.snippets().toList()) {
      if (snippet instanceof DeclarationSnippet d && shell.status(d).isDefined()) {
        Place place = places.get(d.id());
        if (place != null && missing(d, place)) {
          return true;
        }
      }
    }
    return false;
  }

  private boolean missing(DeclarationSnippet declared, Place place) {
    List<String> missing = shell.unresolvedDependencies(declared).toList();
    if (!missing.isEmpty()) {
      String line = declared.source().lines().findFirst().orElse("");
      error(place, "there is no " + String.join(", no ", missing), line);
    }
    return !missing.isEmpty();
  }

  @Override
  public void close() {
    shell.close();
  }
}
