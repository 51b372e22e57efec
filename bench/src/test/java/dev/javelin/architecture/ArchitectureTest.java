package dev.javelin.architecture;

import static com.tngtech.archunit.core.domain.JavaAccess.Predicates.target;
import static com.tngtech.archunit.core.domain.properties.HasName.Predicates.nameMatching;
import static com.tngtech.archunit.core.domain.properties.HasOwner.Predicates.With.owner;
import static com.tngtech.archunit.lang.syntax.ArchRuleDefinition.classes;
import static com.tngtech.archunit.lang.syntax.ArchRuleDefinition.codeUnits;
import static com.tngtech.archunit.lang.syntax.ArchRuleDefinition.noClasses;
import static com.tngtech.archunit.library.dependencies.SlicesRuleDefinition.slices;
import static org.assertj.core.api.Assertions.assertThat;

import com.tngtech.archunit.base.DescribedPredicate;
import com.tngtech.archunit.core.domain.JavaClass;
import com.tngtech.archunit.core.domain.JavaClasses;
import com.tngtech.archunit.core.domain.JavaCodeUnit;
import com.tngtech.archunit.core.domain.JavaPackage;
import com.tngtech.archunit.core.importer.ClassFileImporter;
import com.tngtech.archunit.core.importer.ImportOption;
import com.tngtech.archunit.lang.ArchCondition;
import com.tngtech.archunit.lang.ConditionEvents;
import com.tngtech.archunit.lang.SimpleConditionEvent;
import dev.javelin.device.CudaKernel;
import dev.javelin.device.Launch;
import java.io.IOException;
import java.lang.foreign.Linker;
import java.lang.foreign.SymbolLookup;
import java.lang.ref.Cleaner;
import java.nio.file.FileVisitResult;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.SimpleFileVisitor;
import java.nio.file.attribute.BasicFileAttributes;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.regex.Pattern;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.jspecify.annotations.NullMarked;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/** Direction of the modules, the homes of the Vector API and of JCuda, the banned operations. */
class ArchitectureTest {
  /** A module sees only what stands before it. */
  static final List<String> MODULES =
      List.of("device", "kernels", "tensor", "autograd", "nn", "train", "cli", "bench");

  /** device … nn: what a user embeds. */
  private static final int ENGINE_MODULES = 5;

  static final JavaClasses ALL =
      new ClassFileImporter()
          .withImportOption(ImportOption.Predefined.DO_NOT_INCLUDE_TESTS)
          .withImportOption(location -> !location.contains("-tests.jar")) // of other modules
          .withImportOption(location -> !location.contains("/jmh_generated/"))
          .importPackages("dev.javelin");

  private static final int MOST_LINES = 500;
  private static final Pattern SOURCE = Pattern.compile(".*[.](java|cu|cuh|cpp|h|py|sh)");

  private static final String VECTOR_API = "jdk.incubator.vector";

  private static String packageOf(String module) {
    return "dev.javelin." + module + "..";
  }

  static IntStream modules() {
    return IntStream.range(0, MODULES.size());
  }

  @Test
  void everyModuleIsSeen() {
    for (String module : MODULES.subList(0, MODULES.size() - 1)) {
      assertThat(ALL).as(module).anyMatch(JavaClass.Predicates.resideInAPackage(packageOf(module)));
    }
  }

  @ParameterizedTest
  @MethodSource("modules")
  void moduleSeesOnlyWhatStandsBeforeIt(int i) {
    List<String> allowed = new ArrayList<>();
    MODULES.subList(0, i + 1).forEach(m -> allowed.add(packageOf(m)));
    DescribedPredicate<JavaClass> ours = JavaClass.Predicates.resideInAPackage("dev.javelin..");
    DescribedPredicate<JavaClass> before =
        JavaClass.Predicates.resideInAnyPackage(allowed.toArray(String[]::new));
    noClasses()
        .that()
        .resideInAPackage(packageOf(MODULES.get(i)))
        .should()
        .dependOnClassesThat(ours.and(DescribedPredicate.not(before)))
        .allowEmptyShould(true)
        .check(ALL);
  }

  @Test
  void engineNeedsNothingButTheJdkJCudaAndJSpecify() {
    classes()
        .that()
        .resideInAnyPackage(
            MODULES.subList(0, ENGINE_MODULES).stream()
                .map(ArchitectureTest::packageOf)
                .toArray(String[]::new))
        .should()
        .onlyDependOnClassesThat()
        .resideInAnyPackage(
            "dev.javelin..", "java..", "jdk.jfr", VECTOR_API, "jcuda..", "org.jspecify..")
        .check(ALL);
  }

  @Test
  void onlyCpuKernelsSeeTheVectorApi() {
    noClasses()
        .that()
        .resideOutsideOfPackage("dev.javelin.kernels.cpu")
        .should()
        .dependOnClassesThat()
        .resideInAPackage(VECTOR_API)
        .check(ALL);
  }

  @Test
  void onlyDevicesSeeJCuda() {
    noClasses()
        .that()
        .resideOutsideOfPackage("dev.javelin.device")
        .should()
        .dependOnClassesThat()
        .resideInAPackage("jcuda..")
        .check(ALL);
  }

  /** Machine code among them; benchmarks may call the libraries they compare with. */
  @Test
  void onlyDevicesCallForeignFunctions() {
    noClasses()
        .that()
        .resideOutsideOfPackages("dev.javelin.device", "dev.javelin.bench..")
        .should()
        .dependOnClassesThat(JavaClass.Predicates.belongToAnyOf(Linker.class, SymbolLookup.class))
        .check(ALL);
  }

  /** Benchmarks may measure a launch itself. */
  @Test
  void onlyTheirOneHomeLaunchesCudaKernels() {
    noClasses()
        .that()
        .resideOutsideOfPackages(
            "dev.javelin.device", "dev.javelin.kernels.cuda", "dev.javelin.bench..")
        .should()
        .callMethodWhere(
            target(owner(JavaClass.Predicates.simpleName("Cuda")))
                .and(target(nameMatching("kernel"))))
        .orShould()
        .dependOnClassesThat(JavaClass.Predicates.belongToAnyOf(CudaKernel.class, Launch.class))
        .check(ALL);
  }

  @Test
  void kernelsOfTheTwoDevicesDoNotSeeEachOther() {
    for (List<String> pair : List.of(List.of("cpu", "cuda"), List.of("cuda", "cpu"))) {
      noClasses()
          .that()
          .resideInAPackage("dev.javelin.kernels." + pair.getFirst())
          .should()
          .dependOnClassesThat()
          .resideInAPackage("dev.javelin.kernels." + pair.getLast())
          .check(ALL);
    }
  }

  /** Only libJCudaDriver is needed, and a driver: no CUDA toolkit, no cuBLAS. */
  @Test
  void ofJCudaOnlyTheDriverBindingIsUsed() {
    noClasses()
        .should()
        .dependOnClassesThat(
            JavaClass.Predicates.resideInAPackage("jcuda..")
                .and(
                    DescribedPredicate.not(
                        JavaClass.Predicates.resideInAnyPackage("jcuda", "jcuda.driver"))))
        .check(ALL);
  }

  /**
   * The order in which {@code reduceLanes(ADD)} and {@code reduceLanes(MUL)} combine floats is not
   * specified: the interpreter's bits differ from the compiler's. Sums go through {@code
   * Lanes.sum}.
   */
  @Test
  void noFloatSumOrProductByReduceLanes() {
    codeUnits().should(NOT_REDUCE_FLOATS_BY_ADD_OR_MUL).check(ALL);
  }

  private static final ArchCondition<JavaCodeUnit> NOT_REDUCE_FLOATS_BY_ADD_OR_MUL =
      new ArchCondition<>("not reduce floats by ADD or MUL: use Lanes.sum") {
        private static final Set<String> FLOATS =
            Set.of("FloatVector", "DoubleVector", "Vector", "AbstractVector");

        @Override
        public void check(JavaCodeUnit unit, ConditionEvents events) {
          boolean reduces =
              unit.getMethodCallsFromSelf().stream()
                  .anyMatch(
                      call ->
                          call.getName().startsWith("reduceLanes")
                              && call.getTargetOwner().getPackageName().equals(VECTOR_API)
                              && FLOATS.contains(call.getTargetOwner().getSimpleName()));
          unit.getFieldAccesses().stream()
              .filter(a -> a.getTargetOwner().getName().equals(VECTOR_API + ".VectorOperators"))
              .filter(a -> Set.of("ADD", "MUL").contains(a.getName()))
              .filter(a -> reduces)
              .forEach(a -> events.add(SimpleConditionEvent.violated(unit, a.getDescription())));
        }
      };

  /**
   * {@code lanewise(EXP)} and its like may differ by an ulp between interpreter, compiler and
   * machine. Ours are in {@code VectorMath}.
   */
  @Test
  void noTranscendentalsOfTheVectorApi() {
    noClasses()
        .should()
        .accessFieldWhere(
            target(owner(JavaClass.Predicates.simpleName("VectorOperators")))
                .and(
                    target(
                        nameMatching(
                            "A?(SIN|COS|TAN)H?|ATAN2|EXP|EXPM1|LOG|LOG1?0?|LOG1P|CBRT|POW|HYPOT"))))
        .orShould()
        .callMethodWhere(
            target(owner(JavaClass.Predicates.resideInAPackage(VECTOR_API)))
                .and(target(nameMatching("pow"))))
        .check(ALL);
  }

  @Test
  void packagesHaveNoCycles() {
    slices().matching("dev.javelin.(**)").should().beFreeOfCycles().check(ALL);
  }

  /**
   * NullAway checks marked packages only: a forgotten one would go unchecked. Benchmarks are not
   * marked, since JMH sets their fields.
   */
  @Test
  void everyPackageIsNullMarked() {
    Stream<JavaPackage> packages =
        ALL.stream()
            .filter(JavaClass.Predicates.resideOutsideOfPackage("dev.javelin.bench"))
            .map(JavaClass::getPackage)
            .distinct();
    assertThat(packages).allMatch(p -> p.isAnnotatedWith(NullMarked.class));
  }

  @Test
  void memoryIsFreedByItsOwnerNeverByTheGarbageCollector() {
    noClasses().should().dependOnClassesThat().belongToAnyOf(Cleaner.class).check(ALL);
    assertThat(ALL)
        .noneMatch(c -> c.tryGetMethod("finalize").isPresent() && !c.isInterface())
        .isNotEmpty();
  }

  /** What a service brings along, it chooses itself; what faces the terminal is the cli's. */
  @Test
  void trainingBringsNoTerminalNoLoggingAndNoSecondJsonReader() {
    noClasses()
        .that()
        .resideInAPackage(packageOf("train"))
        .should()
        .dependOnClassesThat()
        .resideInAnyPackage(
            "picocli..",
            "com.fasterxml.jackson..",
            "tools.jackson..",
            "org.slf4j.simple..",
            "me.tongfei.progressbar..",
            "org.jline..",
            "org.knowm.xchart..")
        .check(ALL);
  }

  /** What a run is made of does not know the run; what it puts together does. */
  @Test
  void noArrowPointsUpToARun() {
    noClasses()
        .that()
        .haveSimpleName("Trainer")
        .or()
        .resideInAnyPackage(
            "dev.javelin.train.checkpoint",
            "dev.javelin.train.data..",
            "dev.javelin.train.eval",
            "dev.javelin.train.inference",
            "dev.javelin.train.monitor",
            "dev.javelin.train.optim",
            "dev.javelin.train.schedule",
            "dev.javelin.train.tokenizer")
        .should()
        .dependOnClassesThat(
            JavaClass.Predicates.simpleName("Run")
                .or(JavaClass.Predicates.resideInAPackage("dev.javelin.train.settings")))
        .check(ALL);
  }

  /** Operators build on steps, and both on tensors; files know tensors' shapes and types alone. */
  @Test
  void roomsOfTensor() {
    Map<String, List<String>> unseen =
        Map.of(
            "", List.of(".step", ".op", ".io"),
            ".step", List.of(".op", ".io"),
            ".op", List.of(".io"),
            ".io", List.of(".step", ".op"));
    unseen.forEach(
        (room, others) ->
            noClasses()
                .that()
                .resideInAPackage("dev.javelin.tensor" + room)
                .should()
                .dependOnClassesThat()
                .resideInAnyPackage(
                    others.stream().map(o -> "dev.javelin.tensor" + o).toArray(String[]::new))
                .check(ALL));
  }

  /** Where a file grows beyond a screenful of screens, a second idea has moved in. */
  @Test
  void noSourceFileIsLongerThan500Lines() throws IOException {
    List<String> tooLong = new ArrayList<>();
    Files.walkFileTree(
        Path.of("..").toRealPath(),
        new SimpleFileVisitor<>() {
          @Override
          public FileVisitResult preVisitDirectory(Path dir, BasicFileAttributes a) {
            String name = String.valueOf(dir.getFileName());
            boolean ours = !name.equals("target") && !(name.startsWith(".") && name.length() > 2);
            return ours ? FileVisitResult.CONTINUE : FileVisitResult.SKIP_SUBTREE;
          }

          @Override
          public FileVisitResult visitFile(Path file, BasicFileAttributes a) throws IOException {
            if (SOURCE.matcher(file.toString()).matches()) {
              int lines = Files.readAllLines(file).size();
              if (lines > MOST_LINES) {
                tooLong.add(file + " has " + lines);
              }
            }
            return FileVisitResult.CONTINUE;
          }
        });
    assertThat(tooLong).isEmpty();
  }
}
