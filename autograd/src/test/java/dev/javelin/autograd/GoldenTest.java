package dev.javelin.autograd;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;

class GoldenTest {
  /** Each list is the source of a parameterized test of its class. */
  private static final List<List<Golden.Case>> SOURCES =
      List.of(
          ActivateTest.golden(),
          AddNormTest.golden(),
          AlgebraTest.golden(),
          AttentionTest.alibi(),
          AttentionTest.cases(),
          CrossEntropyTest.golden(),
          EmbeddingTest.golden(),
          GluTest.golden(),
          LayerNormTest.golden(),
          LinearCrossEntropyTest.golden(),
          LinearTest.cases(),
          MatmulTest.cases(),
          RmsNormTest.golden(),
          RopeTest.cases(),
          SoftmaxTest.golden());

  @Test
  void everyCaseOfTheManifestIsRunByOneTest() {
    Stream<String> run = SOURCES.stream().flatMap(List::stream).map(Golden.Case::name);
    assertThat(run).containsExactlyInAnyOrderElementsOf(Golden.names());
  }
}
