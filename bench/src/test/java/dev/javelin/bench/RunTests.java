package dev.javelin.bench;

import static org.junit.platform.engine.discovery.DiscoverySelectors.selectClass;

import dev.javelin.device.CudaException;
import dev.javelin.device.TestCuda;
import java.io.PrintWriter;
import java.io.StringWriter;
import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import org.jspecify.annotations.Nullable;
import org.junit.platform.engine.TestExecutionResult;
import org.junit.platform.launcher.LauncherDiscoveryRequest;
import org.junit.platform.launcher.TagFilter;
import org.junit.platform.launcher.TestExecutionListener;
import org.junit.platform.launcher.TestIdentifier;
import org.junit.platform.launcher.core.LauncherDiscoveryRequestBuilder;
import org.junit.platform.launcher.core.LauncherFactory;

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
    PrintWriter out = new PrintWriter(System.out, true, StandardCharsets.UTF_8);
    Report report = new Report(out);
    LauncherFactory.create().execute(request, report);
    report.end();
  }

  private static final class Report implements TestExecutionListener {
    private static final int LINES = 16; // of a failure

    /** CUresult 700 and later: what a kernel did, after which a GPU answers nothing else. */
    private static final int FIRST_OF_A_KERNEL = 700;

    private static final int NOT_OF_A_KERNEL = 701; // CUDA_ERROR_LAUNCH_OUT_OF_RESOURCES
    private static final int LAST_OF_A_KERNEL = 799;
    private static final int UNKNOWN = 999;

    private final PrintWriter out;
    private int passed;
    private int failed;
    private int skipped;

    Report(PrintWriter out) {
      this.out = out;
    }

    void end() {
      out.printf("%d %d %d%n", passed, failed, skipped);
      System.exit(failed == 0 ? 0 : 1);
    }

    @Override
    public void executionStarted(TestIdentifier test) {
      if (test.isTest()) {
        out.printf("> %s%n", test.getDisplayName());
      }
    }

    @Override
    public void executionSkipped(TestIdentifier test, String reason) {
      skipped++;
      out.printf("  skipped %s: %s%n", test.getDisplayName(), reason);
    }

    @Override
    public void executionFinished(TestIdentifier test, TestExecutionResult result) {
      Throwable thrown = result.getThrowable().orElse(null);
      switch (result.getStatus()) {
        case SUCCESSFUL -> passed += test.isTest() ? 1 : 0;
        case ABORTED -> {
          skipped++;
          String why = thrown == null ? "" : String.valueOf(thrown.getMessage());
          String first = why.lines().findFirst().orElse("");
          out.printf("  skipped %s: %s%n", test.getDisplayName(), first);
        }
        case FAILED -> {
          failed++;
          out.printf("  FAILED %s%n", test.getDisplayName());
          if (thrown != null) {
            StringWriter trace = new StringWriter();
            thrown.printStackTrace(new PrintWriter(trace));
            trace.toString().lines().limit(LINES).forEach(line -> out.println("    " + line));
          }
          if (!TestCuda.isEmulated() && endsTheContext(thrown)) {
            out.println("  that ended the device's context: the tests after it were not run");
            end();
          }
        }
      }
    }

    private static boolean endsTheContext(@Nullable Throwable thrown) {
      for (Throwable t = thrown; t != null; t = t.getCause()) {
        if (t instanceof CudaException e) {
          int code = e.code();
          return code == UNKNOWN
              || code >= FIRST_OF_A_KERNEL && code <= LAST_OF_A_KERNEL && code != NOT_OF_A_KERNEL;
        }
      }
      return false;
    }
  }
}
