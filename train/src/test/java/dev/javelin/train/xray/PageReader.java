package dev.javelin.train.xray;

import java.io.IOException;
import java.io.StringReader;
import java.util.ArrayList;
import java.util.List;
import javax.xml.parsers.DocumentBuilderFactory;
import javax.xml.parsers.ParserConfigurationException;
import org.w3c.dom.Document;
import org.w3c.dom.Element;
import org.w3c.dom.NodeList;
import org.xml.sax.InputSource;
import org.xml.sax.SAXException;

/** A page as an XML parser reads it, which finds every element that is not closed. */
final class PageReader {
  final Document document;

  PageReader(String page) {
    String plain =
        page.replaceAll("(?s)<style>.*?</style>", "").replaceAll("(?s)<script>.*?</script>", "");
    try {
      document =
          DocumentBuilderFactory.newInstance()
              .newDocumentBuilder()
              .parse(new InputSource(new StringReader(plain)));
    } catch (SAXException | IOException | ParserConfigurationException e) {
      throw new AssertionError(e);
    }
  }

  List<Element> all(String tag) {
    return in(document.getElementsByTagName(tag));
  }

  static List<Element> in(Element parent, String tag) {
    return in(parent.getElementsByTagName(tag));
  }

  private static List<Element> in(NodeList nodes) {
    List<Element> all = new ArrayList<>();
    for (int i = 0; i < nodes.getLength(); i++) {
      all.add((Element) nodes.item(i));
    }
    return all;
  }

  Element byId(String id) {
    return all("*").stream()
        .filter(e -> e.getAttribute("id").equals(id))
        .findFirst()
        .orElseThrow(() -> new AssertionError("no " + id));
  }

  /** The body of a table: cells of rows, the rows' heads first. */
  List<List<String>> table(String id) {
    Element table =
        all("table").stream()
            .filter(t -> t.getAttribute("id").equals(id))
            .findFirst()
            .orElseThrow(() -> new AssertionError("no table " + id));
    List<List<String>> rows = new ArrayList<>();
    for (Element row : in(in(table, "tbody").getFirst(), "tr")) {
      List<String> cells = new ArrayList<>();
      NodeList children = row.getChildNodes();
      for (int i = 0; i < children.getLength(); i++) {
        cells.add(children.item(i).getTextContent());
      }
      rows.add(cells);
    }
    return rows;
  }

  /** A number as a reader would take it; a percentage as a share. */
  static double number(String text) {
    String plain = text.replace("\u202f", "");
    return plain.endsWith("%")
        ? Double.parseDouble(plain.substring(0, plain.length() - 1).strip()) / 100
        : Double.parseDouble(plain);
  }
}
