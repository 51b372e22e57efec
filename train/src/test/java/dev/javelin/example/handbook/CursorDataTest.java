package dev.javelin.example.handbook;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import dev.javelin.device.Cpu;
import dev.javelin.example.handbook.CursorData.CursorSource;
import dev.javelin.example.handbook.CursorData.Flat;
import dev.javelin.example.handbook.CursorData.MadeUp;
import dev.javelin.example.handbook.CursorData.Table;
import dev.javelin.train.data.Batch;
import dev.javelin.train.data.InputException;
import java.io.IOException;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.Iterator;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** The handbook's source of rows: resumed, cut in any way, and spoilt. */
class CursorDataTest {
  private static final String PAGE = "custom-data.md";

  @TempDir Path dir;

  @Test
  void aStoppedRunGoesOnBitForBit() throws IOException {
    Table table = new MadeUp(1000);
    CursorSource whole = new CursorSource(table);
    CursorSource second = new CursorSource(table);
    float[] straight = CursorData.straight(whole, 300);
    assertThat(CursorData.stopped(new CursorSource(table), second, 300, dir.resolve("run")))
        .isEqualTo(straight);
    assertThat(whole.opened()).isEqualTo(3); // 2400 rows of 1000
    assertThat(second.opened()).isEqualTo(3); // from row 800 on
    // rent = 200 + 12·size + 30·storey, in thousands, hundreds and tens
    assertThat(straight).contains(new float[] {1.2f, 0.3f, 0.2f}, within(0.1f));
  }

  @Test
  void rowsDoNotDependOnHowTheyAreCut() {
    CursorSource source = new CursorSource(new MadeUp(10));
    float[] whole = rents(source, 7, 6); // over the end
    assertThat(rents(source, 9, 2)).isEqualTo(Arrays.copyOfRange(whole, 2, 4));
    assertThat(rents(source, 7, 1)).isEqualTo(Arrays.copyOfRange(whole, 0, 1));
  }

  private static float[] rents(CursorSource source, long place, int rows) {
    try (Cpu cpu = Cpu.open(1);
        Batch batch = Batch.on(cpu, source.layout(), rows)) {
      batch.load(fields -> source.fill(place, rows, fields));
      return batch.get("rent").toFloats();
    }
  }

  @Test
  void whatTheTableCannotGiveEndsTheRun() throws IOException {
    Table broken =
        new Table() {
          @Override
          public long count() {
            return 1000;
          }

          @Override
          public Iterator<Flat> from(long id) {
            throw new InputException("table flat: no row from id " + id + " on; restore the table");
          }
        };
    Pages.says(
        PAGE,
        "table flat: no row from id 0 on; restore the table",
        () -> CursorData.straight(new CursorSource(broken), 1));
    Table nan =
        new Table() {
          @Override
          public long count() {
            return 1000;
          }

          @Override
          public Iterator<Flat> from(long id) {
            return Stream.generate(() -> new Flat(Float.NaN, 1, 1)).iterator();
          }
        };
    Pages.says(
        PAGE,
        "loss NaN, gradient norm NaN: training diverged",
        () -> CursorData.straight(new CursorSource(nan), 10));
  }
}
