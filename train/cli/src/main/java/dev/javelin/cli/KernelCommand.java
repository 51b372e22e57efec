package dev.javelin.cli;

import dev.javelin.tensor.io.AtomicFile;
import dev.javelin.train.data.InputException;
import dev.javelin.train.trace.KernelTrace;
import dev.javelin.train.trace.TracedKernel;
import java.io.IOException;
import java.io.PrintWriter;
import java.nio.file.Path;
import java.util.concurrent.Callable;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Spec;

/** {@code javelin kernel}: what one thread of a CUDA kernel does. */
@Command(
    name = "kernel",
    mixinStandardHelpOptions = true,
    description =
        "Runs a CUDA kernel on the emulated device, on small tensors, and prints what one thread reads, computes and writes: values, elements, source lines. docs/kernels/trace.md reads one.")
final class KernelCommand implements Callable<Integer> {
  private static final int MOST_ELEMENTS = 1 << 20;

  @Spec private @Nullable CommandSpec spec;

  @Option(
      names = "--trace",
      paramLabel = "KERNEL",
      description = "Kernel to trace, one of --list. Default: none.")
  private @Nullable String trace;

  @Option(names = "--list", description = "List the kernels that can be traced, with their sizes.")
  private boolean list;

  @Option(
      names = "--block",
      paramLabel = "N",
      description = "Block of the grid, counted along x first. Default: ${DEFAULT-VALUE}.")
  private int block;

  @Option(
      names = "--thread",
      paramLabel = "N",
      description = "Thread of the block, counted along x first. Default: ${DEFAULT-VALUE}.")
  private int thread;

  @Option(
      names = "--rows",
      paramLabel = "R",
      description = "Rows. Default: the kernel's in --list.")
  private @Nullable Integer rows;

  @Option(
      names = "--cols",
      paramLabel = "C",
      description = "Columns, the length of a row. Default: the kernel's in --list.")
  private @Nullable Integer cols;

  @Option(
      names = "--inner",
      paramLabel = "K",
      description = "Dimension that a matrix product sums over. Default: the kernel's in --list.")
  private @Nullable Integer inner;

  @Option(
      names = "--dtype",
      paramLabel = "fp32|bf16|fp16",
      description = "Number format of inputs and outputs. Default: ${DEFAULT-VALUE}.")
  private String dtype = "fp32";

  @Option(names = "--all", description = "Print every step; repeated ones are folded otherwise.")
  private boolean all;

  @Option(
      names = {"-o", "--out", "--output"},
      paramLabel = "FILE",
      description = "Where to write instead of standard output. Default: nowhere.")
  private @Nullable Path out;

  @Override
  public Integer call() throws IOException {
    String text;
    if (list) {
      text = list();
    } else if (trace == null) {
      throw new InputException(
          "kernel needs --trace KERNEL, for example --trace rms_norm; --list shows all");
    } else {
      TracedKernel kernel = TracedKernel.named(trace);
      text =
          KernelTrace.of(kernel, block, thread, sizes(kernel), Main.precision(dtype).weights())
              .text(all);
    }
    if (out != null) {
      AtomicFile.write(out, text);
    } else {
      PrintWriter answer = Main.out(spec);
      answer.print(text);
      answer.flush();
    }
    return Main.OK;
  }

  private TracedKernel.Sizes sizes(TracedKernel kernel) {
    TracedKernel.Sizes usual = kernel.sizes();
    int r = size("--rows", rows, usual.rows());
    int c = size("--cols", cols, usual.cols());
    int k = size("--inner", inner, Math.max(1, usual.inner()));
    if (Math.max((long) r * c, Math.max((long) r * k, (long) k * c)) > MOST_ELEMENTS) {
      throw new InputException(
          "a tensor of a trace has at most "
              + MOST_ELEMENTS
              + " elements: give smaller --rows, --cols or --inner");
    }
    return new TracedKernel.Sizes(r, c, k);
  }

  private static int size(String flag, @Nullable Integer given, int usual) {
    int n = given == null ? usual : given;
    Main.atLeast(1, flag, n);
    return n;
  }

  private static String list() {
    StringBuilder text = new StringBuilder();
    for (TracedKernel k : TracedKernel.ALL) {
      TracedKernel.Sizes n = k.sizes();
      String sizes = "R = " + n.rows() + ", C = " + n.cols();
      text.append(
          "%-18s %s; %s; %s%s%n"
              .formatted(
                  k.name(),
                  k.formula(),
                  k.shapes(),
                  sizes,
                  n.inner() == 0 ? "" : ", K = " + n.inner()));
    }
    return text.toString();
  }
}
