package dev.javelin.bench;

import static org.junit.platform.engine.discovery.DiscoverySelectors.selectClass;

import java.io.PrintWriter;
import java.io.StringWriter;
import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import org.junit.platform.engine.TestExecutionResult;
import org.junit.platform.launcher.LauncherDiscoveryRequest;
import org.junit.platform.launcher.TagFilter;
import org.junit.platform.launcher.TestExecutionListener;
import org.junit.platform.launcher.TestIdentifier;
import org.junit.platform.launcher.core.LauncherDiscoveryRequestBuilder;
import org.junit.platform.launcher.core.LauncherFactory;
import org.junit.platform.launcher.listeners.SummaryGeneratingListener;
import org.junit.platform.launcher.listeners.TestExecutionSummary;

/**
 * Runs test classes where there is no Maven: the GPU kit's. Prints each test as it begins, what
 * failed or was skipped and why as it ends, so that a run that is killed has said where it was, and
 * last {@code passed FAILED skipped} in numbers. Exit code 1 where a test failed.
 */
public final class RunTests {
  private RunTests() {}

  public static void main(String[] classes) {
    LauncherDiscoveryRequest request =
        LauncherDiscoveryRequestBuilder.request()
            .selectors(Arrays.stream(classes).map(name -> selectClass(name)).toList())
            .filters(TagFilter.excludeTags("long"))
            .build();
    SummaryGeneratingListener summary = new SummaryGeneratingListener();
    PrintWriter out = new PrintWriter(System.out, true, StandardCharsets.UTF_8);
    LauncherFactory.create().execute(request, summary, new Report(out));
    TestExecutionSummary s = summary.getSummary();
    long aborted = s.getTestsAbortedCount() + s.getTestsSkippedCount();
    out.printf("%d %d %d%n", s.getTestsSucceededCount(), s.getTotalFailureCount(), aborted);
    System.exit(s.getTotalFailureCount() == 0 ? 0 : 1);
  }

  private record Report(PrintWriter out) implements TestExecutionListener {
    private static final int LINES = 16; // of a failure

    @Override
    public void executionStarted(TestIdentifier test) {
      if (test.isTest()) {
        out.printf("> %s%n", test.getDisplayName());
      }
    }

    @Override
    public void executionSkipped(TestIdentifier test, String reason) {
      out.printf("  skipped %s: %s%n", test.getDisplayName(), reason);
    }

    @Override
    public void executionFinished(TestIdentifier test, TestExecutionResult result) {
      Throwable thrown = result.getThrowable().orElse(null);
      switch (result.getStatus()) {
        case SUCCESSFUL -> {}
        case ABORTED -> {
          String why = thrown == null ? "" : String.valueOf(thrown.getMessage());
          String first = why.lines().findFirst().orElse("");
          out.printf("  skipped %s: %s%n", test.getDisplayName(), first);
        }
        case FAILED -> {
          out.printf("  FAILED %s%n", test.getDisplayName());
          if (thrown != null) {
            StringWriter trace = new StringWriter();
            thrown.printStackTrace(new PrintWriter(trace));
            trace.toString().lines().limit(LINES).forEach(line -> out.println("    " + line));
          }
        }
      }
    }
  }
}
