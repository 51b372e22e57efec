package dev.javelin.train.trace;

import dev.javelin.train.trace.Event.Access;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import java.util.stream.Collectors;

/** How the accesses of a warp's lanes, made at once, fall into sectors of 32 bytes. */
final class Coalescing {
  static final int LANES = 32;
  private static final int SECTOR = 32;

  private Coalescing() {}

  /** One sentence on accesses to global memory, one of each lane that makes one. */
  static String of(List<Access> lanes) {
    Set<Long> bytes = new HashSet<>();
    for (Access a : lanes) {
      for (long i = 0; i < a.bytes().size(); i++) {
        bytes.add(a.address() + i);
      }
    }
    int sectors = bytes.stream().map(b -> b / SECTOR).collect(Collectors.toSet()).size();
    int least = Math.ceilDiv(bytes.size(), SECTOR);
    String how;
    if (lanes.size() == 1) {
      how = "alone";
    } else if (lanes.stream().map(Access::address).distinct().count() == 1) {
      how = "a broadcast, all read the same";
    } else if (sectors == least) {
      how = "coalesced";
    } else {
      how = "not coalesced, " + least + " would do";
    }
    return "%s, %d bytes in %s of %d: %s"
        .formatted(
            count(lanes.size(), "lane"), bytes.size(), count(sectors, "sector"), SECTOR, how);
  }

  private static String count(int n, String what) {
    return n + " " + what + (n == 1 ? "" : "s");
  }
}
