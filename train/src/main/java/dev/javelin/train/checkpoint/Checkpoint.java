package dev.javelin.train.checkpoint;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Map;

/** A whole checkpoint on the disk. */
public record Checkpoint(Path directory, TrainingState state) {

  public long step() {
    return state.step();
  }

  /**
   * Opens a checkpoint's directory.
   *
   * @throws dev.javelin.tensor.io.FileFormatException where its state cannot be read
   * @throws IncompleteCheckpointException where a file is missing or shorter than it was written
   */
  public static Checkpoint open(Path directory) {
    TrainingState state = TrainingState.read(directory);
    for (Map.Entry<String, Long> file : state.files().entrySet()) {
      Path path = directory.resolve(file.getKey());
      long size;
      try {
        size = Files.isRegularFile(path) ? Files.size(path) : -1;
      } catch (IOException e) {
        size = -1;
      }
      if (size != file.getValue()) {
        throw new IncompleteCheckpointException(directory, file.getKey(), file.getValue(), size);
      }
    }
    return new Checkpoint(directory, state);
  }
}
