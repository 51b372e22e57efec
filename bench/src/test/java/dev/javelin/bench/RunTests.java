package dev.javelin.bench;

import static org.junit.platform.engine.discovery.DiscoverySelectors.selectClass;

import java.io.PrintWriter;
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
 * Runs test classes where there is no Maven: the GPU kit's. Prints what failed and why, what was
 * skipped and why, and last {@code passed FAILED skipped} in numbers. Exit code 1 where a test
 * failed.
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
    LauncherFactory.create().execute(request, summary, new Skips(out));
    TestExecutionSummary s = summary.getSummary();
    if (s.getTotalFailureCount() > 0) {
      s.printFailuresTo(out, 12);
    }
    long aborted = s.getTestsAbortedCount() + s.getTestsSkippedCount();
    out.printf("%d %d %d%n", s.getTestsSucceededCount(), s.getTotalFailureCount(), aborted);
    System.exit(s.getTotalFailureCount() == 0 ? 0 : 1);
  }

  private record Skips(PrintWriter out) implements TestExecutionListener {
    @Override
    public void executionSkipped(TestIdentifier test, String reason) {
      out.printf("  skipped %s: %s%n", test.getDisplayName(), reason);
    }

    @Override
    public void executionFinished(TestIdentifier test, TestExecutionResult result) {
      if (result.getStatus() == TestExecutionResult.Status.ABORTED) {
        String why = result.getThrowable().map(t -> String.valueOf(t.getMessage())).orElse("");
        out.printf("  skipped %s: %s%n", test.getDisplayName(), why.lines().findFirst().orElse(""));
      }
    }
  }
}
