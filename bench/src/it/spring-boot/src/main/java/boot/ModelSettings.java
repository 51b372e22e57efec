package boot;

import java.nio.file.Path;
import java.util.List;
import org.springframework.boot.context.properties.ConfigurationProperties;

/**
 * What {@code application.properties} says of the model.
 *
 * @param texts to train on; none for the default text
 * @param directory where the run and the model lie
 * @param steps of the training
 * @param threads of the device
 */
@ConfigurationProperties("model")
public record ModelSettings(List<Path> texts, Path directory, int steps, int threads) {}
