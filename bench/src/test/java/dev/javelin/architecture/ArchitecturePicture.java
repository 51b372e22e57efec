package dev.javelin.architecture;

import com.tngtech.archunit.core.domain.Dependency;
import com.tngtech.archunit.core.domain.JavaClass;
import com.tngtech.archunit.core.domain.JavaClasses;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.TreeMap;
import java.util.TreeSet;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * The picture of the house, {@code docs/architecture.svg}, drawn from the classes: a floor for each
 * module, a box for each package with the first sentence of its Javadoc, and a line wherever a
 * class of one package uses a class of another on a lower floor. The stronger the line, the more
 * classes.
 */
final class ArchitecturePicture {
  private static final int WIDTH = 1180;
  private static final int LEFT = 96;
  private static final int BOX_HEIGHT = 74;
  private static final int GAP = 12;
  private static final int FLOOR_GAP = 34;
  private static final int MOST_IN_A_ROW = 5;

  private record Box(String name, String text, double x, double y, double width) {
    double centre() {
      return x + width / 2;
    }
  }

  private final Map<String, Map<String, Integer>> uses = new TreeMap<>(); // from package to package
  private final TreeSet<String> packages = new TreeSet<>();
  private final Map<String, Box> boxes = new LinkedHashMap<>();
  private final StringBuilder svg = new StringBuilder();

  /**
   * @param modules from the lowest floor up
   * @param root of the sources, for the Javadoc of the packages
   */
  static String draw(JavaClasses all, List<String> modules, Path root) throws IOException {
    ArchitecturePicture picture = new ArchitecturePicture();
    picture.count(all);
    return picture.draw(modules, root);
  }

  private void count(JavaClasses all) {
    Map<String, Map<String, TreeSet<String>>> users = new TreeMap<>();
    for (JavaClass c : all) {
      if (c.isTopLevelClass() && !c.getSimpleName().equals("package-info")) {
        packages.add(c.getPackageName());
      }
      for (Dependency d : c.getDirectDependenciesFromSelf()) {
        String to = d.getTargetClass().getBaseComponentType().getPackageName();
        if (to.startsWith("dev.javelin.") && !to.equals(c.getPackageName())) {
          users
              .computeIfAbsent(c.getPackageName(), _ -> new TreeMap<>())
              .computeIfAbsent(to, _ -> new TreeSet<>())
              .add(c.getName());
        }
      }
    }
    users.forEach(
        (from, targets) ->
            targets.forEach(
                (to, by) -> uses.computeIfAbsent(from, _ -> new TreeMap<>()).put(to, by.size())));
  }

  private String draw(List<String> modules, Path root) throws IOException {
    double y = GAP;
    StringBuilder floors = new StringBuilder();
    for (String module : modules.reversed()) {
      List<String> rooms =
          packages.stream()
              .filter(p -> (p + ".").startsWith("dev.javelin." + module + "."))
              .toList();
      int rows = (rooms.size() + MOST_IN_A_ROW - 1) / MOST_IN_A_ROW;
      int columns = (rooms.size() + rows - 1) / rows;
      double width = (WIDTH - LEFT - GAP - (columns - 1.0) * GAP) / columns;
      floors.append(text(GAP, y + rows * (BOX_HEIGHT + GAP) / 2.0, "floor", module));
      for (int i = 0; i < rooms.size(); i++) {
        String name = rooms.get(i);
        double x = LEFT + i % columns * (width + GAP);
        double top = y + i / columns * (BOX_HEIGHT + GAP);
        boxes.put(name, new Box(name, sentence(root, name), x, top, width));
      }
      y += rows * (BOX_HEIGHT + GAP) + FLOOR_GAP;
    }
    svg.append(
        """
        <svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %.0f" role="img" aria-label="Modules and packages of Javelin, and who uses whom">
        <style>
          text { font: 12px system-ui, sans-serif; fill: #24292f }
          .floor { font-weight: 600; font-size: 15px } .name { font-weight: 600; font-size: 13px } .small { font-size: 11px; fill: #57606a }
          rect { fill: #f6f8fa; stroke: #8c959f } path { fill: none; stroke: #0969da }
          .paper { fill: #ffffff; stroke: none }
          @media (prefers-color-scheme: dark) { text { fill: #e6edf3 } .small { fill: #9198a1 } rect { fill: #212830; stroke: #656c76 } path { stroke: #4493f8 } .paper { fill: #0d1117 } }
        </style>
        <rect class="paper" width="100%%" height="100%%"/>
        """
            .formatted(WIDTH, y));
    uses.forEach((from, targets) -> targets.forEach((to, by) -> line(from, to, by)));
    boxes.values().forEach(this::box);
    return svg.append(floors).append("</svg>\n").toString();
  }

  /** Lines go down only; what a package uses on its own floor is not drawn. */
  private void line(String from, String to, int by) {
    Box a = boxes.get(from);
    Box b = boxes.get(to);
    if (a == null || b == null || module(from).equals(module(to))) {
      return;
    }
    double top = a.y + BOX_HEIGHT;
    double bottom = b.y;
    double bend = Math.min(60, (bottom - top) / 2);
    svg.append(
        String.format(
            Locale.ROOT,
            "<path d=\"M%.0f %.0fC%.0f %.0f %.0f %.0f %.0f %.0f\" stroke-width=\"%.1f\" opacity=\".35\"><title>%s uses %s</title></path>%n",
            a.centre(),
            top,
            a.centre(),
            top + bend,
            b.centre(),
            bottom - bend,
            b.centre(),
            bottom,
            by < 3 ? 0.8 : by < 10 ? 1.6 : 3,
            shorter(from),
            shorter(to)));
  }

  private static String module(String name) {
    return name.split("\\.")[2];
  }

  private static String shorter(String name) {
    return name.substring("dev.javelin.".length());
  }

  private void box(Box b) {
    svg.append(
        String.format(
            Locale.ROOT,
            "<rect x=\"%.0f\" y=\"%.0f\" width=\"%.0f\" height=\"%d\" rx=\"6\"/>%n",
            b.x,
            b.y,
            b.width,
            BOX_HEIGHT));
    svg.append(text(b.x + 8, b.y + 18, "name", shorter(b.name)));
    double line = b.y + 34;
    for (String part : wrap(b.text, (int) ((b.width - 16) / 6.2))) {
      svg.append(text(b.x + 8, line, "small", part));
      line += 13;
    }
  }

  private static String text(double x, double y, String kind, String text) {
    return String.format(
        Locale.ROOT,
        "<text x=\"%.0f\" y=\"%.0f\" class=\"%s\">%s</text>%n",
        x,
        y,
        kind,
        text.replace("&", "&amp;").replace("<", "&lt;"));
  }

  /** Three lines at most, the last one cut where there is more. */
  private static List<String> wrap(String text, int columns) {
    List<String> lines = new ArrayList<>();
    StringBuilder line = new StringBuilder();
    for (String word : text.split(" ")) {
      if (!line.isEmpty() && line.length() + 1 + word.length() > columns) {
        lines.add(line.toString());
        line.setLength(0);
        if (lines.size() == 3) {
          lines.set(2, lines.get(2) + " …");
          return lines;
        }
      }
      line.append(line.isEmpty() ? "" : " ").append(word);
    }
    lines.add(line.toString());
    return lines;
  }

  private static final Pattern JAVADOC = Pattern.compile("/\\*\\*(.*?)\\*/", Pattern.DOTALL);

  /** The first sentence of package-info.java. */
  private static String sentence(Path root, String name) throws IOException {
    String file = "src/main/java/" + name.replace('.', '/') + "/package-info.java";
    for (String module :
        List.of("native", "kernels", "tensor", "autograd", "nn", "train", "train/cli")) {
      Path info = root.resolve(module).resolve(file);
      if (Files.exists(info)) {
        Matcher m = JAVADOC.matcher(Files.readString(info));
        String text = m.find() ? m.group(1) : "";
        text = text.replaceAll("\\n\\s*\\* ?", " ").replaceAll("\\{@\\w+ ([^}]*)}", "$1");
        text = text.replaceAll("<[^>]*>.*", "").strip();
        return text.replaceAll("(?s)(?<=[.])\\s.*", "").replaceAll("\\.$", "");
      }
    }
    return "";
  }
}
