package quarkus;

import io.smallrye.config.ConfigMapping;
import java.nio.file.Path;
import java.util.List;
import java.util.Optional;

/** What {@code application.properties} says of the model. */
@ConfigMapping(prefix = "model")
interface ModelSettings {
  /** To train on; the default text if absent. */
  Optional<List<Path>> texts();

  /** Where the run and the model lie. */
  Path directory();

  /** Steps of the training. */
  int steps();

  /** Threads of the device. */
  int threads();
}
