package dev.javelin.nn;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.javelin.device.Cpu;
import dev.javelin.device.DType;
import dev.javelin.tensor.FlatWeights;
import dev.javelin.tensor.Group;
import dev.javelin.tensor.Parameter;
import dev.javelin.tensor.Segment;
import dev.javelin.tensor.Shape;
import dev.javelin.tensor.Tensor;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import java.util.function.Predicate;
import org.junit.jupiter.api.Test;

class TrainedTest {
  record Model(Parameter a, Parameter b, Parameter c, Parameter d, Parameter frozen) {}

  /** c and d are F32 and have groups of their own, the others are bf16. */
  private static ParameterBuffer<Model> model(Cpu cpu) {
    Grouping grouping =
        (name, shape) ->
            switch (name) {
              case "frozen" -> new Group("frozen", 0, 0, true);
              case "c" -> new Group("c", 2, 0, false, DType.F32);
              case "d" -> new Group("d", 1, 0.5f, false, DType.F32);
              default -> new Group("rest", 1, 0.1f, false);
            };
    return ParameterBuffer.allocate(
        cpu,
        Precision.BF16,
        grouping,
        d ->
            new Model(
                d.parameter(3, 50),
                d.parameter(7),
                d.parameter(200),
                d.parameter(2, 2),
                d.parameter(9)));
  }

  private static long address(Tensor t) {
    return t.segment().address();
  }

  @Test
  void anySubsetCoversItsParametersAndNothingElse() {
    try (Cpu cpu = Cpu.open(1);
        ParameterBuffer<Model> model = model(cpu)) {
      List<String> names = List.of("a", "b", "c", "d");
      for (int set = 0; set < 1 << names.size(); set++) {
        int chosen = set;
        Predicate<Parameter> which = p -> (chosen >> names.indexOf(p.name()) & 1) != 0;
        Trained trained = model.trained(which);
        assertThat(trained.parameters())
            .as("set %d", set)
            .containsExactlyInAnyOrderElementsOf(
                model.named().values().stream()
                    .filter(p -> !p.name().equals("frozen") && which.test(p))
                    .toList());
        long elements = 0;
        Set<Long> gradients = new HashSet<>();
        for (Trained.Part part : trained.parts()) {
          FlatWeights w = part.weights();
          assertThat(part.fromRow() * 128L).isEqualTo(elements);
          assertThat(w.master() == null).isEqualTo(w.weights().dtype() == DType.F32);
          elements += w.weights().elements();
          long at = 0;
          for (Segment s : part.parameters().segments()) {
            assertThat(s.from()).isEqualTo(at);
            gradients.add(address(w.grads()) + 4 * s.from());
            at = s.to();
          }
          assertThat(at).isEqualTo(w.weights().elements());
          assertThat(w.segments().getFirst().from()).isZero();
          assertThat(w.segments().getLast().to()).isEqualTo(at);
        }
        assertThat(trained.flat().elements()).isEqualTo(elements);
        assertThat(gradients)
            .containsExactlyInAnyOrderElementsOf(
                trained.parameters().stream()
                    .map(p -> address(model.part(model.gradients(), p)))
                    .toList());
      }
    }
  }

  @Test
  void aStateHasAPartForEachParameterAndForEachRange() {
    try (Cpu cpu = Cpu.open(1);
        ParameterBuffer<Model> model = model(cpu)) {
      Trained trained = model.trained(p -> !p.name().equals("b"));
      assertThat(trained.flat()).isEqualTo(Shape.of(2 + 2 + 1, 128)); // a, c, d
      try (var memory = cpu.allocate(4 * trained.flat().elements())) {
        Tensor state = Tensor.of(memory, 0, DType.F32, trained.flat());
        Parameter c = model.get("c");
        Parameter d = model.get("d");
        assertThat(address(trained.part(state, d)))
            .isEqualTo(address(trained.part(state, c)) + 4 * 256);
        assertThat(trained.part(state, d).shape()).isEqualTo(d.shape());
        Trained.Part second = trained.parts().get(1);
        assertThat(address(second.of(state))).isEqualTo(address(trained.part(state, c)));
        assertThat(second.weights().segments())
            .containsExactly(new Segment(0, 256, 2, 0), new Segment(256, 384, 1, 0.5f));
        assertThatThrownBy(() -> trained.part(state, model.get("b")))
            .isInstanceOf(IllegalArgumentException.class)
            .hasMessageContaining("b is not updated by this rule");
      }
    }
  }
}
