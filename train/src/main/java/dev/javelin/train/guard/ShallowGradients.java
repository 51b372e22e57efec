package dev.javelin.train.guard;

import dev.javelin.nn.ParameterBuffer;
import dev.javelin.tensor.Parameter;
import dev.javelin.tensor.Tensor;
import dev.javelin.tensor.op.Elementwise;
import java.util.ArrayList;
import java.util.List;
import java.util.Objects;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * The gradients of embedding and first layers: of what a model has before its first numbered layer,
 * and of the first quarter of these, one at least. Multiplied by α they are as if the layers'
 * output {@code y} were {@code α·y + (1 − α)·stopGradient(y)}.
 *
 * @see <a href="https://arxiv.org/abs/2210.02414">GLM-130B, section 3.2, for the embedding</a>
 */
final class ShallowGradients {
  private static final Pattern NUMBER = Pattern.compile("(?<=\\.|^)\\d+(?=\\.)");
  private static final int PART = 4;

  private final List<Tensor> gradients = new ArrayList<>();
  private final List<String> names = new ArrayList<>();

  ShallowGradients(ParameterBuffer<?> parameters) {
    int layers = 0;
    for (String name : parameters.named().keySet()) {
      layers = Math.max(layers, 1 + layer(name));
    }
    int shallow = Math.ceilDiv(layers, PART);
    boolean before = layers > 0;
    for (Parameter p : parameters.named().values()) {
      int layer = layer(p.name());
      before &= layer < 0;
      if (p.grad() != null && (before || layer >= 0 && layer < shallow)) {
        gradients.add(Objects.requireNonNull(p.grad()));
        names.add(p.name());
      }
    }
  }

  /** The first number in a name; −1 where it has none. */
  private static int layer(String name) {
    Matcher m = NUMBER.matcher(name);
    return m.find() ? Integer.parseInt(m.group()) : -1;
  }

  /** Which parameters they are of. */
  List<String> names() {
    return names;
  }

  void scale(double alpha) {
    for (Tensor g : gradients) {
      Elementwise.scale(g, g, (float) alpha);
    }
  }
}
