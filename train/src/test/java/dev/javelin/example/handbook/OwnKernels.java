package dev.javelin.example.handbook;

import dev.javelin.device.KernelImages;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import org.jspecify.annotations.Nullable;

/** Kernels in a folder: {@code snake.fatbin} of nvcc, {@code snake.emu.so} of g++. */
public record OwnKernels(Path folder) implements KernelImages {
  @Override
  public byte @Nullable [] find(String family, int capability, boolean emulated) {
    Path image = folder.resolve(family + (emulated ? ".emu.so" : ".fatbin"));
    try {
      return Files.exists(image) ? Files.readAllBytes(image) : null;
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }
}
