package dev.javelin.train.chat.jinja;

import static org.assertj.core.api.Assertions.assertThat;

import dev.javelin.tensor.io.Json;
import dev.javelin.tensor.io.JsonObject;
import dev.javelin.train.tokenizer.SharedFiles;
import java.time.LocalDateTime;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import org.junit.jupiter.api.Test;

/** Against what transformers renders. */
class GoldenTemplateTest {
  @Test
  @SuppressWarnings("unchecked")
  void everyCaseIsRenderedAsTransformersRendersIt() {
    JsonObject golden = Json.read(SharedFiles.golden("chat_templates.json"));
    Map<String, Object> templates = map(golden, "templates");
    Map<String, Object> conversations = map(golden, "conversations");
    List<Map<String, Object>> cases =
        (List<Map<String, Object>>) Objects.requireNonNull(golden.members().get("cases"));
    assertThat(cases).hasSizeGreaterThanOrEqualTo(70);
    for (Map<String, Object> one : cases) {
      Map<String, Object> given = new LinkedHashMap<>();
      given.put("messages", conversations.get(one.get("conversation")));
      given.put("add_generation_prompt", one.get("add_generation_prompt"));
      given.put("tools", null);
      given.put("documents", null);
      given.put("bos_token", "<s>");
      given.put("eos_token", "</s>");
      String as = one.get("template") + " of " + one.get("conversation");
      String got;
      try {
        got =
            Template.parse(String.valueOf(templates.get(one.get("template"))))
                .render(given, () -> LocalDateTime.MIN, new Budget())
                .toString();
      } catch (TemplateException e) {
        got = "line " + e.line() + ": " + e.getMessage();
      }
      if (one.get("text") != null) {
        assertThat(got).as(as).isEqualTo(one.get("text"));
      } else {
        assertThat(got).as(as + " " + one).contains("roles must alternate");
      }
    }
  }

  @SuppressWarnings("unchecked")
  private static Map<String, Object> map(JsonObject json, String name) {
    return (Map<String, Object>) Objects.requireNonNull(json.members().get(name));
  }
}
