package dev.javelin.device;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.lang.management.ManagementFactory;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicIntegerArray;
import java.util.concurrent.locks.LockSupport;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class ParallelTest {

  @ParameterizedTest
  @ValueSource(ints = {1, 2, 4, 7})
  void runsEveryPieceExactlyOnce(int threads) {
    try (Parallel team = new Parallel(threads)) {
      for (int n : new int[] {0, 1, 2, 7, 31, 33, 127, 1000}) {
        for (int grain : new int[] {1, 2, 7, 33, 1000, 5000}) {
          AtomicIntegerArray seen = new AtomicIntegerArray(n);
          team.run(
              n,
              grain,
              (from, to) -> {
                assertThat(from % grain).isZero();
                assertThat(to).isEqualTo(Math.min(n, from + grain));
                for (int i = from; i < to; i++) {
                  seen.incrementAndGet(i);
                }
              });
          for (int i = 0; i < n; i++) {
            assertThat(seen.get(i)).isEqualTo(1);
          }
        }
      }
    }
  }

  @ParameterizedTest
  @ValueSource(ints = {2, 3, 5})
  void eachThreadBeginsWithTheFirstPieceOfItsOwnSpan(int threads) {
    try (Parallel team = new Parallel(threads)) {
      int count = 4 * threads + 1;
      AtomicIntegerArray first = new AtomicIntegerArray(threads);
      AtomicInteger begun = new AtomicInteger();
      for (int i = 0; i < threads; i++) {
        first.set(i, -1);
      }
      team.run(
          3 * count,
          3,
          (from, to) -> {
            if (first.compareAndSet(team.worker(), -1, from / 3)) {
              begun.incrementAndGet();
            }
            while (begun.get() < threads) { // so that no span is gone before its owner comes
              Thread.yield();
            }
          });
      for (int i = 0; i < threads; i++) {
        assertThat(first.get(i)).isEqualTo(Math.ceilDiv(i * count, threads));
      }
    }
  }

  @Test
  void writesOfAllPiecesAreVisibleToTheCallerLoopAfterLoop() {
    try (Parallel team = new Parallel(4)) {
      int[] values = new int[64];
      for (int loop = 0; loop < 20_000; loop++) {
        int add = loop;
        team.run(
            64,
            3,
            (from, to) -> {
              for (int i = from; i < to; i++) {
                values[i] += add;
              }
            });
      }
      assertThat(values).containsOnly(20_000 / 2 * 19_999);
    }
  }

  @ParameterizedTest
  @ValueSource(ints = {2, 3, 5})
  void aLateHelperNeverTakesAPieceOfALoopThatIsNotIssuedYet(int threads) {
    try (Parallel team = new Parallel(threads)) {
      AtomicIntegerArray seen = new AtomicIntegerArray(40);
      int[] loop = {0};
      for (int i = 0; i < 100_000; i++) {
        loop[0] = i;
        int n = 2 + i * 7 % 39;
        team.run(n, 1, (from, to) -> seen.addAndGet(from, loop[0]));
      }
      int[] expected = new int[40];
      for (int i = 0; i < 100_000; i++) {
        for (int p = 0; p < 2 + i * 7 % 39; p++) {
          expected[p] += i;
        }
      }
      for (int p = 0; p < 40; p++) {
        assertThat(seen.get(p)).isEqualTo(expected[p]);
      }
    }
  }

  @Test
  void helpersWakeUpAgainAfterAPause() {
    try (Parallel team = new Parallel(3)) {
      for (int loop = 0; loop < 20; loop++) {
        LockSupport.parkNanos(2_000_000); // long enough for the helpers to park
        AtomicIntegerArray workers = new AtomicIntegerArray(3);
        // Every piece waits until another thread has begun one too, so helpers must come.
        team.run(
            2,
            1,
            (from, to) -> {
              workers.incrementAndGet(team.worker());
              while (workers.get(0) + workers.get(1) + workers.get(2) < 2) {
                Thread.yield();
              }
            });
        assertThat(workers.get(0)).isLessThan(2);
      }
    }
  }

  @Test
  void callerParksWhileAHelperWorksLong() {
    try (Parallel team = new Parallel(2)) {
      AtomicBoolean helperDone = new AtomicBoolean();
      AtomicBoolean helperBegan = new AtomicBoolean();
      team.run(
          2,
          1,
          (from, to) -> {
            if (team.worker() == 0) {
              while (!helperBegan.get()) {
                Thread.yield();
              }
            } else {
              helperBegan.set(true);
              LockSupport.parkNanos(20_000_000);
              helperDone.set(true);
            }
          });
      assertThat(helperDone).isTrue();
    }
  }

  @ParameterizedTest
  @ValueSource(ints = {1, 2, 4})
  void throwsTheExceptionOfAPieceAndStaysUsable(int threads) {
    try (Parallel team = new Parallel(threads)) {
      for (int bad = 0; bad < 40; bad++) {
        int at = bad;
        assertThatThrownBy(
                () ->
                    team.run(
                        40,
                        1,
                        (from, to) -> {
                          if (from == at) {
                            throw new ArithmeticException("piece " + from);
                          }
                        }))
            .isInstanceOf(ArithmeticException.class)
            .hasMessage("piece " + at);
        AtomicIntegerArray seen = new AtomicIntegerArray(40);
        team.run(40, 1, (from, to) -> seen.incrementAndGet(from));
        for (int i = 0; i < 40; i++) {
          assertThat(seen.get(i)).isEqualTo(1);
        }
      }
      assertThatThrownBy(
              () ->
                  team.run(
                      8,
                      1,
                      (from, to) -> {
                        throw new StackOverflowError();
                      }))
          .isInstanceOf(StackOverflowError.class);
    }
  }

  @ParameterizedTest
  @ValueSource(ints = {1, 2})
  void refusesALoopInsideALoop(int threads) {
    try (Parallel team = new Parallel(threads)) {
      assertThatThrownBy(() -> team.run(4, 1, (from, to) -> team.run(4, 1, (f, t) -> {})))
          .isInstanceOf(IllegalStateException.class)
          .hasMessageContaining("never inside the body of a loop");
      team.run(4, 1, (from, to) -> {});
    }
  }

  @ParameterizedTest
  @ValueSource(ints = {1, 2, 3})
  void loopsOfManyCallersRunOneAfterAnother(int threads) throws Exception {
    try (Parallel team = new Parallel(threads);
        ExecutorService callers = Executors.newFixedThreadPool(8)) {
      int[] values = new int[64];
      List<Future<?>> done = new ArrayList<>();
      for (int caller = 0; caller < 8; caller++) {
        done.add(
            callers.submit(
                () -> {
                  for (int loop = 0; loop < 500; loop++) {
                    team.run(
                        64,
                        3,
                        (from, to) -> {
                          for (int i = from; i < to; i++) {
                            values[i]++;
                          }
                        });
                  }
                }));
      }
      for (Future<?> f : done) {
        f.get();
      }
      assertThat(values).containsOnly(8 * 500);
    }
  }

  @Test
  void callersComeInTheOrderInWhichTheyAsked() throws Exception {
    try (Parallel team = new Parallel(2)) {
      List<Integer> order = Collections.synchronizedList(new ArrayList<>());
      List<Thread> callers = new ArrayList<>();
      try (Turn _ = team.turn()) {
        for (int caller = 0; caller < 6; caller++) {
          int mine = caller;
          Thread t =
              new Thread(
                  () -> {
                    for (int round = 0; round < 3; round++) {
                      team.run(
                          1,
                          1,
                          (from, to) -> {
                            order.add(mine);
                            // All others are in the queue again before this one is done.
                            LockSupport.parkNanos(20_000_000);
                          });
                    }
                  });
          t.start();
          callers.add(t);
          while (t.getState() != Thread.State.WAITING) {
            Thread.onSpinWait();
          }
        }
      }
      for (Thread t : callers) {
        t.join();
      }
      assertThat(order).containsExactly(0, 1, 2, 3, 4, 5, 0, 1, 2, 3, 4, 5, 0, 1, 2, 3, 4, 5);
    }
  }

  @Test
  void aHelperCannotWaitForATurn() {
    try (Parallel team = new Parallel(2)) {
      assertThatThrownBy(
              () ->
                  team.run(
                      2,
                      1,
                      (from, to) -> {
                        if (team.worker() == 0) {
                          LockSupport.parkNanos(50_000_000); // the helper takes the other piece
                        } else {
                          team.turn().close();
                        }
                      }))
          .isInstanceOf(IllegalStateException.class)
          .hasMessageContaining("never inside the body of a loop");
    }
  }

  @Test
  void closingWaitsForTheLoopInProgress() throws Exception {
    Parallel team = new Parallel(2);
    AtomicBoolean done = new AtomicBoolean();
    CountDownLatch begun = new CountDownLatch(1);
    Thread caller =
        new Thread(
            () ->
                team.run(
                    2,
                    1,
                    (from, to) -> {
                      begun.countDown();
                      LockSupport.parkNanos(30_000_000);
                      done.set(to == 2 || done.get());
                    }));
    caller.start();
    begun.await();
    team.close();
    assertThat(done).isTrue();
    caller.join();
  }

  @Test
  void refusesWorkAfterClose() {
    Parallel team = new Parallel(2);
    team.close();
    assertThatThrownBy(() -> team.run(4, 1, (from, to) -> {}))
        .isInstanceOf(IllegalStateException.class)
        .hasMessageContaining("closed");
  }

  @Test
  void anInterruptOfTheCallerIsKeptForTheCaller() {
    try (Parallel team = new Parallel(2)) {
      Thread.currentThread().interrupt();
      team.run(
          2,
          1,
          (from, to) -> {
            long until = System.nanoTime() + 1_000_000;
            while (System.nanoTime() < until) {
              Thread.onSpinWait();
            }
          });
      assertThat(Thread.interrupted()).isTrue();
    }
  }

  @Test
  void aLoopAllocatesNothing() {
    var threads = (com.sun.management.ThreadMXBean) ManagementFactory.getThreadMXBean();
    try (Parallel team = new Parallel(2)) {
      Parallel.Range body = (from, to) -> {};
      team.run(100, 1, body);
      threads.getCurrentThreadAllocatedBytes();
      long before = threads.getCurrentThreadAllocatedBytes();
      for (int loop = 0; loop < 1000; loop++) {
        team.run(100, 1, body);
      }
      assertThat(threads.getCurrentThreadAllocatedBytes() - before).isLessThan(1000);
    }
  }
}
