package dev.javelin.train.report;

import dev.javelin.tensor.io.Json;
import dev.javelin.tensor.io.JsonObject;
import dev.javelin.tensor.io.JsonRules;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.WebSocket;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Base64;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Optional;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionStage;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;

/**
 * A Chromium without a screen, told what to do by its DevTools protocol. It downloads nothing: it
 * is the one that the system has, named by {@code -Djavelin.chromium} or found on the path.
 *
 * @see <a href="https://chromedevtools.github.io/devtools-protocol/">DevTools protocol</a>
 */
public final class Chromium implements AutoCloseable {
  private static final List<String> NAMES =
      List.of("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome");
  private static final long PATIENCE_SECONDS = 180; // of a machine that does much else
  private static final Path PORT_FILE = Path.of("DevToolsActivePort");

  private final Process process;
  private final HttpClient http =
      HttpClient.newBuilder().proxy(HttpClient.Builder.NO_PROXY).build();
  private final WebSocket socket;
  private final AtomicInteger lastId = new AtomicInteger();
  private final Map<Integer, CompletableFuture<JsonObject>> answers = new ConcurrentHashMap<>();
  private final Map<String, Tab> tabs = new ConcurrentHashMap<>(); // by session

  /** The program, where there is one. */
  public static Optional<Path> find() {
    String named = System.getProperty("javelin.chromium");
    if (named != null) {
      return named.isEmpty() ? Optional.empty() : Optional.of(Path.of(named));
    }
    String path = Objects.requireNonNullElse(System.getenv("PATH"), "");
    return NAMES.stream()
        .flatMap(name -> Stream.of(path.split(":")).map(folder -> Path.of(folder, name)))
        .filter(Files::isExecutable)
        .findFirst();
  }

  /**
   * Starts it.
   *
   * @param profile an empty directory
   */
  public static Chromium open(Path program, Path profile) throws IOException {
    List<String> command =
        List.of(
            program.toString(),
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-quic",
            "--disable-dev-shm-usage",
            "--no-first-run",
            "--disable-background-networking",
            "--disable-component-update",
            "--disable-sync",
            "--hide-scrollbars",
            "--remote-debugging-port=0",
            "--user-data-dir=" + profile,
            "about:blank");
    Process process =
        new ProcessBuilder(command)
            .redirectErrorStream(true)
            .redirectOutput(profile.resolve("chromium.log").toFile())
            .start();
    try {
      return new Chromium(process, profile);
    } catch (IOException | RuntimeException e) {
      process.destroyForcibly();
      throw e;
    }
  }

  private Chromium(Process process, Path profile) throws IOException {
    this.process = process;
    Path file = profile.resolve(PORT_FILE);
    waitFor(() -> !process.isAlive() || Files.isRegularFile(file) && lines(file).size() > 1);
    if (!process.isAlive()) {
      throw new IOException("no browser: " + Files.readString(profile.resolve("chromium.log")));
    }
    List<String> address = lines(file);
    URI uri = URI.create("ws://127.0.0.1:" + address.get(0) + address.get(1));
    socket = get(http.newWebSocketBuilder().buildAsync(uri, new Ear()));
  }

  private static List<String> lines(Path file) {
    try {
      return Files.readAllLines(file);
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  /** Something that comes true. */
  @FunctionalInterface
  public interface Condition {
    boolean holds();
  }

  /** Waits until it does. */
  public static void waitFor(Condition condition) {
    long end = System.nanoTime() + TimeUnit.SECONDS.toNanos(PATIENCE_SECONDS);
    while (!condition.holds()) {
      if (System.nanoTime() - end > 0) {
        throw new IllegalStateException("waited for nothing for " + PATIENCE_SECONDS + " s");
      }
      try {
        Thread.sleep(20);
      } catch (InterruptedException e) {
        throw new IllegalStateException(e);
      }
    }
  }

  private static <T> T get(CompletableFuture<T> future) {
    try {
      return future.get(PATIENCE_SECONDS, TimeUnit.SECONDS);
    } catch (InterruptedException | ExecutionException | TimeoutException e) {
      throw new IllegalStateException(e);
    }
  }

  /** Puts messages together. */
  private final class Ear implements WebSocket.Listener {
    private final StringBuilder text = new StringBuilder();

    @Override
    public @Nullable CompletionStage<?> onText(WebSocket from, CharSequence part, boolean last) {
      text.append(part);
      if (last) {
        byte[] bytes = text.toString().getBytes(StandardCharsets.UTF_8);
        text.setLength(0);
        heard(Json.parse(Path.of("devtools"), ByteBuffer.wrap(bytes), JsonRules.LINE));
      }
      from.request(1);
      return null;
    }
  }

  private void heard(JsonObject message) {
    if (message.has("id")) {
      CompletableFuture<JsonObject> answer =
          answers.remove(message.integer("id", 0, Integer.MAX_VALUE));
      if (answer != null) {
        answer.complete(message);
      }
    } else if (message.has("sessionId")) {
      Tab tab = tabs.get(message.text("sessionId"));
      if (tab != null) {
        tab.happened(message.text("method"), message.object("params"));
      }
    }
  }

  private JsonObject call(@Nullable String session, String method, Map<String, ?> parameters) {
    Map<String, Object> message = new LinkedHashMap<>();
    int id = lastId.incrementAndGet();
    message.put("id", id);
    message.put("method", method);
    message.put("params", parameters);
    if (session != null) {
      message.put("sessionId", session);
    }
    CompletableFuture<JsonObject> answer = new CompletableFuture<>();
    answers.put(id, answer);
    get(socket.sendText(Json.writeCompact(message), true));
    JsonObject got = get(answer);
    if (got.has("error")) {
      throw new IllegalStateException(method + ": " + got.members().get("error"));
    }
    return got.object("result");
  }

  /** A page of that size, as a phone or a desktop has it, which remembers nothing of others. */
  public Tab tab(int width, int height, boolean phone, boolean dark) {
    String context = call(null, "Target.createBrowserContext", Map.of()).text("browserContextId");
    String target =
        call(null, "Target.createTarget", Map.of("url", "about:blank", "browserContextId", context))
            .text("targetId");
    String session =
        call(null, "Target.attachToTarget", Map.of("targetId", target, "flatten", true))
            .text("sessionId");
    Tab tab = new Tab(session, target);
    tabs.put(session, tab);
    for (String domain : List.of("Page", "Runtime", "Log", "Network")) {
      tab.call(domain + ".enable", Map.of());
    }
    tab.call(
        "Emulation.setDeviceMetricsOverride",
        Map.of(
            "width", width, "height", height, "deviceScaleFactor", phone ? 2 : 1, "mobile", phone));
    tab.call("Emulation.setTouchEmulationEnabled", Map.of("enabled", phone));
    tab.call(
        "Emulation.setEmulatedMedia",
        Map.of(
            "features",
            List.of(Map.of("name", "prefers-color-scheme", "value", dark ? "dark" : "light"))));
    return tab;
  }

  /** A page, with what it has complained of and asked for since it was made. */
  public final class Tab implements AutoCloseable {
    private final String session;
    private final String target;
    private final List<String> complaints = new CopyOnWriteArrayList<>();
    private final List<String> requests = new CopyOnWriteArrayList<>();
    private final AtomicInteger loads = new AtomicInteger();

    private Tab(String session, String target) {
      this.session = session;
      this.target = target;
    }

    private JsonObject call(String method, Map<String, ?> parameters) {
      return Chromium.this.call(session, method, parameters);
    }

    private void happened(String method, JsonObject what) {
      switch (method) {
        case "Runtime.exceptionThrown" -> complaints.add(Json.writeCompact(what));
        case "Runtime.consoleAPICalled" -> {
          if (!what.text("type").equals("log")) {
            complaints.add(Json.writeCompact(what));
          }
        }
        case "Log.entryAdded" -> complaints.add(Json.writeCompact(what));
        case "Network.requestWillBeSent" -> requests.add(what.object("request").text("url"));
        case "Page.loadEventFired" -> loads.incrementAndGet();
        default -> {}
      }
    }

    /** Loads a page and waits until it is drawn. */
    public Tab open(URI address) {
      int before = loads.get();
      call("Page.navigate", Map.of("url", address.toString()));
      waitFor(() -> loads.get() > before);
      settle();
      return this;
    }

    /** Waits for two frames, so that what was asked for is drawn. */
    public void settle() {
      run("new Promise(r => requestAnimationFrame(() => requestAnimationFrame(() => r(1))))");
    }

    /** The value of a JavaScript expression, as JSON has it. */
    public @Nullable Object run(String expression) {
      JsonObject answer =
          call(
              "Runtime.evaluate",
              Map.of("expression", expression, "returnByValue", true, "awaitPromise", true));
      if (answer.has("exceptionDetails")) {
        throw new IllegalStateException(expression + ": " + answer.members());
      }
      return answer.object("result").members().get("value");
    }

    public double number(String expression) {
      return ((Number) Objects.requireNonNull(run(expression), expression)).doubleValue();
    }

    public String text(String expression) {
      return String.valueOf(run(expression));
    }

    /** Moves the mouse there. */
    public void hover(double x, double y) {
      call("Input.dispatchMouseEvent", Map.of("type", "mouseMoved", "x", x, "y", y));
      settle();
    }

    /** Touches the screen there. */
    public void tap(double x, double y) {
      call(
          "Input.dispatchTouchEvent",
          Map.of("type", "touchStart", "touchPoints", List.of(Map.of("x", x, "y", y))));
      call("Input.dispatchTouchEvent", Map.of("type", "touchEnd", "touchPoints", List.of()));
      settle();
    }

    /** Presses a key, such as {@code ArrowLeft}. */
    public void press(String key) {
      call("Input.dispatchKeyEvent", Map.of("type", "keyDown", "key", key, "code", key));
      call("Input.dispatchKeyEvent", Map.of("type", "keyUp", "key", key, "code", key));
      settle();
    }

    /**
     * The same for a key by which the browser itself does something, such as moving a slider.
     *
     * @param code the key's number, {@code KeyboardEvent.keyCode}
     * @param text what it types, or nothing
     */
    public void press(String key, int code, String text) {
      Map<String, Object> down = new LinkedHashMap<>();
      down.put("type", text.isEmpty() ? "rawKeyDown" : "keyDown");
      down.put("key", key);
      down.put("code", key);
      down.put("windowsVirtualKeyCode", code);
      down.put("text", text);
      call("Input.dispatchKeyEvent", down);
      down.put("type", "keyUp");
      down.remove("text");
      call("Input.dispatchKeyEvent", down);
      settle();
    }

    /** Cuts the network off. */
    public Tab offline() {
      call(
          "Network.emulateNetworkConditions",
          Map.of("offline", true, "latency", 0, "downloadThroughput", 0, "uploadThroughput", 0));
      return this;
    }

    /** What the console holds: errors, warnings, exceptions. */
    public List<String> complaints() {
      return new ArrayList<>(complaints);
    }

    /** All that was asked for over a wire or from the disk. */
    public List<String> requests() {
      return new ArrayList<>(requests);
    }

    /** What is to be seen, as a PNG. */
    public byte[] picture() {
      String png = call("Page.captureScreenshot", Map.of("format", "png")).text("data");
      return Base64.getDecoder().decode(png);
    }

    @Override
    public void close() {
      tabs.remove(session);
      Chromium.this.call(null, "Target.closeTarget", Map.of("targetId", target));
    }
  }

  @Override
  public void close() {
    try {
      call(null, "Browser.close", Map.of());
      process.waitFor(PATIENCE_SECONDS, TimeUnit.SECONDS); // it clears up behind itself
      socket.abort();
      process.descendants().forEach(ProcessHandle::destroyForcibly);
      process.destroyForcibly().waitFor();
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    }
    http.close();
  }
}
