package dev.javelin.train.monitor;

import dev.javelin.tensor.io.FileCalls;
import dev.javelin.train.eval.Evaluation;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.OutputStream;
import java.io.UncheckedIOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.LinkOption;
import java.nio.file.Path;
import java.util.zip.CRC32C;

/**
 * A TensorBoard event file. A record is {@code u64 length, u32 crc(length), data, u32 crc(data)},
 * little-endian, with {@code crc = rotr(crc32c, 15) + 0xa282ead8}; the data are a protocol-buffer
 * message {@code Event {1: double wall_time; 2: int64 step; 3: string file_version; 5: Summary; 7:
 * SessionLog}}, {@code Summary {1: repeated Value {1: string tag; 2: float simple_value; 8:
 * TensorProto; 9: SummaryMetadata}}}. Tags are those of transformers' Trainer where it has the
 * number: {@code train/loss}, {@code eval/loss}, {@code train/grad_norm}, {@code
 * train/learning_rate}, {@code train/num_input_tokens_seen}, the settings as the text {@code args}.
 *
 * @see <a
 *     href="https://github.com/tensorflow/tensorflow/blob/master/tensorflow/core/lib/io/record_writer.h">
 *     record_writer.h</a>
 */
public final class EventFile implements Watcher {
  private static final int MASK_DELTA = 0xa282ead8;
  private static final int FIXED64 = 1;
  private static final int BYTES = 2;
  private static final int FIXED32 = 5;
  private static final int VARINT = 0;
  private static final int SESSION_START = 1;
  private static final int STRING = 7; // DataType.DT_STRING
  private static final int TENSOR = 2; // DataClass.DATA_CLASS_TENSOR

  private final OutputStream file;

  /** Opens a new file under {@code directory}; one that starts late hides older later events. */
  public EventFile(Path directory, long startStep) throws IOException {
    Files.createDirectories(directory);
    Path path;
    int n = 0;
    do {
      path =
          directory.resolve(
              "events.out.tfevents.%d.javelin.%d.%d"
                  .formatted(System.currentTimeMillis(), ProcessHandle.current().pid(), n++));
    } while (Files.exists(path, LinkOption.NOFOLLOW_LINKS));
    file = FileCalls.current().append(path);
    Message version = event(0).bytes(3, "brain.Event:2".getBytes(StandardCharsets.UTF_8));
    write(version);
    if (startStep > 0) {
      write(event(startStep + 1).bytes(7, new Message().varint(1, SESSION_START).toByteArray()));
    }
  }

  @Override
  public void evaluated(long step, Evaluation e) {
    Message summary = new Message();
    scalar(summary, "eval/perplexity", e.perplexity());
    if (e.bitsPerByte() != null) {
      scalar(summary, "eval/bits_per_byte", e.bitsPerByte());
    }
    write(event(step).bytes(5, summary.toByteArray()));
  }

  /**
   * A text, as it is written; TensorBoard shows it as a block of code, under {@code
   * tag/text_summary} as PyTorch's writer has it.
   */
  public void text(long step, String tag, String text) {
    byte[] block = text.indent(4).getBytes(StandardCharsets.UTF_8);
    byte[] shape = new Message().bytes(2, new Message().varint(1, 1).toByteArray()).toByteArray();
    Message tensor = new Message().varint(1, STRING).bytes(2, shape).bytes(8, block);
    byte[] plugin = new Message().bytes(1, ascii("text")).toByteArray();
    Message metadata = new Message().bytes(1, plugin).varint(4, TENSOR);
    Message value = new Message().bytes(1, ascii(tag + "/text_summary"));
    value.bytes(9, metadata.toByteArray()).bytes(8, tensor.toByteArray());
    write(event(step).bytes(5, new Message().bytes(1, value.toByteArray()).toByteArray()));
  }

  private static byte[] ascii(String text) {
    return text.getBytes(StandardCharsets.UTF_8);
  }

  @Override
  public void logged(StepMetrics m) {
    Message summary = new Message();
    scalar(summary, "train/loss", m.loss());
    scalar(summary, "train/grad_norm", m.gradNorm());
    scalar(summary, "train/learning_rate", m.lr());
    scalar(summary, "train/tokens_per_second", m.tokensPerSecond());
    scalar(summary, "train/step_ms", m.stepMs());
    scalar(summary, "train/num_input_tokens_seen", m.tokens());
    if (m.lossScale() != 1) {
      scalar(summary, "train/loss_scale", m.lossScale());
    }
    if (m.evalLoss() != null) {
      scalar(summary, "eval/loss", m.evalLoss());
    }
    m.more().forEach((key, value) -> scalar(summary, "train/" + key, value));
    write(event(m.step()).bytes(5, summary.toByteArray()));
  }

  private static Message event(long step) {
    return new Message().fixed64(1, System.currentTimeMillis() / 1000.0).varint(2, step);
  }

  private static void scalar(Message summary, String tag, double value) {
    Message v = new Message().bytes(1, tag.getBytes(StandardCharsets.UTF_8));
    summary.bytes(1, v.fixed32(2, (float) value).toByteArray());
  }

  private void write(Message event) {
    byte[] data = event.toByteArray();
    ByteBuffer record = ByteBuffer.allocate(data.length + 16).order(ByteOrder.LITTLE_ENDIAN);
    record.putLong(data.length);
    record.putInt(maskedCrc(record.array(), 0, 8));
    record.put(data).putInt(maskedCrc(data, 0, data.length));
    try {
      file.write(record.array());
    } catch (IOException e) {
      throw new UncheckedIOException("TensorBoard events: " + e.getMessage(), e);
    }
  }

  static int maskedCrc(byte[] bytes, int from, int length) {
    CRC32C crc = new CRC32C();
    crc.update(bytes, from, length);
    return Integer.rotateRight((int) crc.getValue(), 15) + MASK_DELTA;
  }

  @Override
  public void close() {
    try {
      file.close();
    } catch (IOException e) {
      throw new UncheckedIOException("TensorBoard events: " + e.getMessage(), e);
    }
  }

  /** A protocol-buffer message, field by field. */
  private static final class Message {
    private final ByteArrayOutputStream out = new ByteArrayOutputStream();

    Message varint(int field, long value) {
      tag(field, VARINT);
      varint(value);
      return this;
    }

    Message fixed64(int field, double value) {
      tag(field, FIXED64);
      little(Double.doubleToRawLongBits(value), 8);
      return this;
    }

    Message fixed32(int field, float value) {
      tag(field, FIXED32);
      little(Float.floatToRawIntBits(value), 4);
      return this;
    }

    Message bytes(int field, byte[] value) {
      tag(field, BYTES);
      varint(value.length);
      out.writeBytes(value);
      return this;
    }

    byte[] toByteArray() {
      return out.toByteArray();
    }

    private void tag(int field, int wireType) {
      varint((long) field << 3 | wireType);
    }

    private void varint(long value) {
      long rest = value;
      while ((rest & ~0x7fL) != 0) {
        out.write((int) (rest & 0x7f | 0x80));
        rest >>>= 7;
      }
      out.write((int) rest);
    }

    private void little(long bits, int bytes) {
      for (int i = 0; i < bytes; i++) {
        out.write((int) (bits >>> 8 * i));
      }
    }
  }
}
