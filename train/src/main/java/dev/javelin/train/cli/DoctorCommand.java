package dev.javelin.train.cli;

import java.util.concurrent.Callable;
import picocli.CommandLine.Command;

@Command(
    name = "doctor",
    mixinStandardHelpOptions = true,
    description = "Says what is here and what is missing.")
final class DoctorCommand implements Callable<Integer> {
  @Override
  public Integer call() {
    return Main.OK;
  }
}
