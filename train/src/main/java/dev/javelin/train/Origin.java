package dev.javelin.train;

import dev.javelin.device.Cpu;
import dev.javelin.device.Cuda;
import dev.javelin.device.Device;
import dev.javelin.kernels.cpu.VectorWidth;
import dev.javelin.train.checkpoint.RunIdentity;
import dev.javelin.train.data.DataIdentity;
import dev.javelin.train.run.Version;
import dev.javelin.train.settings.RunSettings;
import dev.javelin.train.settings.Setting;
import dev.javelin.train.summary.Processor;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.stream.Stream;

/**
 * Where a checkpoint comes from, as its manifest tells people: code, settings, data, tokenizer and
 * environment. What a resumed run must share is compared by {@link RunIdentity}, not by this.
 */
final class Origin {
  private Origin() {}

  static Map<String, Object> of(RunSettings settings, RunIdentity identity, Device device) {
    Map<String, Object> all = new LinkedHashMap<>();
    all.put("code", Map.of("version", Version.NUMBER, "commit", Version.commit()));
    Map<String, Object> configuration = new LinkedHashMap<>();
    for (Setting setting : Setting.all()) {
      Object value = setting.plain(settings);
      if (value != null) {
        configuration.put(setting.key(), value);
      }
    }
    all.put("configuration", configuration);
    Map<String, Object> data = new LinkedHashMap<>();
    data.put("train", data(identity.data()));
    if (identity.validation() != null) {
      data.put("validation", data(identity.validation()));
    }
    data.put("tokenizer", identity.data().tokenizer());
    all.put("data", data);
    all.put("environment", environment(device));
    return all;
  }

  private static Map<String, Object> data(DataIdentity identity) {
    Map<String, Object> data = new LinkedHashMap<>();
    data.put("name", identity.name());
    data.put("tokens", identity.tokens());
    data.put("crc32c", identity.fingerprint());
    return data;
  }

  private static Map<String, Object> environment(Device device) {
    Map<String, Object> all = new LinkedHashMap<>();
    all.put("system", properties("os.name", "os.version", "os.arch"));
    all.put("java", Runtime.version() + ", " + System.getProperty("java.vendor", ""));
    all.put("processor", Processor.name());
    all.put("vector_bits", VectorWidth.bits());
    all.put(
        "device",
        switch (device) {
          case Cpu cpu -> cpu.toString();
          case Cuda cuda -> cuda + ": " + cuda.properties().describe();
        });
    return all;
  }

  private static String properties(String... names) {
    return String.join(" ", Stream.of(names).map(n -> System.getProperty(n, "")).toList());
  }
}
