package dev.javelin.cli;

import dev.javelin.train.Objectives;
import dev.javelin.train.chat.TemplateFiles;
import dev.javelin.train.optim.Optimizers;
import dev.javelin.train.settings.DeviceSpec;
import dev.javelin.train.settings.Names;
import dev.javelin.train.settings.RunSettings;
import dev.javelin.train.settings.ScheduleSpec.LrScheduler;
import dev.javelin.train.settings.Setting;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.stream.Collectors;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Model.OptionSpec;

/**
 * The options of {@code javelin train} that are settings of the run: a line each, of key, value and
 * text. Names, aliases, defaults and types are those of {@link RunSettings}; values are read there
 * too, as those of a YAML file are.
 */
final class TrainOptions {
  private static final int GROUP = 100;

  private static final String LR_SCHEDULERS =
      Arrays.stream(LrScheduler.values())
          .map(shape -> Names.kebab(shape.name()))
          .collect(Collectors.joining(", "));

  private final CommandSpec spec = CommandSpec.create();
  private int order;

  private TrainOptions() {
    group(1); // model and data
    add("model", "NAME|DIR", "Preset (see --list-models) or Hugging Face directory to train.");
    add(
        "data",
        "PATH",
        "Files of text, conversations or instructions, folders of them, a token file, or a folder that javelin prepare wrote. Default: the text that comes with Javelin.");
    add("val_data", "PATH", "Validation data, like --data. Default: see --val-fraction.");
    add(
        "fold",
        "K/N",
        "Keep the K-th of N equal parts of the data for validation: cross-validation. Default: none.");
    add(
        "val_fraction",
        "F",
        "Fraction of --data, at its end, to hold out for validation. Default: 0.1, or 0 if there are validation data already.");
    add(
        "column",
        "NAME",
        "Field of a JSONL file or column of a CSV or TSV file that holds the text.");
    add(
        "parse_special_tokens",
        "true|false",
        "Recognise special tokens that are written in the text, such as <|endoftext|>. Otherwise they are plain characters.");
    add(
        "tokenizer",
        "byte|char|bpe|DIR",
        "Tokenizer. Default: the one that comes with the model or the data.");
    add("objective", String.join("|", Objectives.names()), "What training minimises.");
    add("label_column", "NAME", "Field or column of the class, for --objective classify.");
    add(
        "preference_beta",
        "B",
        "Strength with which dpo and ipo hold the model to the reference; weight of the odds ratio in orpo.");
    add("label_smoothing", "E", "Share of the preferences that are the wrong way round, for dpo.");
    add(
        "reference",
        "DIR",
        "Model that preferences are measured against, for dpo and ipo. Default: the model without its adapters, or as it was before the run.");
    add("teacher", "DIR", "Model to learn from, for distill. Default: none.");
    add("distill_temperature", "T", "What the logits of both models are divided by, for distill.");
    add("distill_share", "A", "Share of the teacher in the loss, for distill.");
    add("order", "shuffled|sequential", "Order in which sequences are read.");
    add(
        "packing",
        "true|false",
        "Put several examples into a sequence, each for itself, rather than one padded to its end. Running text has no padding.");
    add(
        "format",
        "NAME",
        "What the rows of the data are: text, messages, sharegpt, alpaca, prompt-completion or preference. Default: recognised by the first rows.");
    add(
        "template",
        "NAME|FILE",
        "Chat template: " + TemplateFiles.builtIn() + ", or a file. Default: the model's own.");
    add(
        "train_on_prompt",
        "true|false",
        "Learn every token of a conversation, not only what the assistant says.");
    add("mask_history", "true|false", "Learn only the assistant's last turn of a conversation.");
    add("skip_bad_rows", "true|false", "Pass over rows that cannot be used, and count them.");
    add("seed", "N", "Seed for initial weights, dropout and data order.");
    add("data_seed", "N", "Seed for the data order only. Default: --seed.");
    add(
        "dropout",
        "P",
        "Dropout probability for embeddings and residual branches. Default: the model's own.");
    add(
        "attention_dropout",
        "P",
        "Dropout probability for attention weights. Default: the model's own, 0 with --dropout.");
    add(
        "quantize",
        "none|int8|nf4",
        "Keep the frozen linear layers in 8 or 4 bits a weight; for training of adapters (--lora).");
    add(
        "recompute",
        "none|blocks|blocks:K|attention|mlp",
        "What the backward pass computes again instead of keeping it: every block (also plain --recompute), K blocks at a time, or a half of each. Less memory, up to a third more time.");

    group(2); // steps and batches
    add(
        "max_steps",
        "N",
        "Number of optimizer steps. Default: what --epochs says, else 1000 for running text and three epochs for examples.");
    add(
        "epochs",
        "E",
        "Times to read all training data, if --max-steps is not given. Default: see --max-steps.");
    add("batch_size", "N", "Sequences per micro-batch.");
    add("seq_len", "N", "Tokens per sequence.");
    add("gradient_accumulation_steps", "N", "Micro-batches per optimizer step.");
    add(
        "batch_ramp",
        "FROM:INCREMENT:STEPS",
        "Begin with FROM micro-batches per step and add INCREMENT at a time, up to --gradient-accumulation-steps at step STEPS. Default: none.");
    add(
        "max_tokens",
        "N",
        "End when so many target tokens are seen; without --max-steps and --epochs the schedule ends there. Default: no limit.");
    add(
        "max_time",
        "TIME",
        "End when the run has taken so long in all, such as 90m or 1h30m, earlier parts of a resumed run included. Default: no limit.");
    add(
        "target_loss",
        "L",
        "End when the validation loss, or without one the mean of the last ten logged training losses, is no larger. Default: none.");
    add(
        "early_stopping_patience",
        "N",
        "End after N evaluations in a row without a better validation loss. Default: never.");
    add(
        "early_stopping_min_delta",
        "D",
        "By how much a validation loss must be smaller to be better.");

    group(3); // optimizer and schedule
    add(
        "learning_rate",
        "LR",
        "Peak learning rate. Default: that of the rule, 1e-3 for adamw; a fifth of it where adapters are trained.");
    add(
        "min_learning_rate",
        "LR",
        "Learning rate at the end of the schedule. Default: a tenth of --learning-rate, or 0 for a plateau schedule.");
    add(
        "lr_scheduler",
        "NAME",
        "Shape of the schedule: " + LR_SCHEDULERS + ". docs/training/schedules.md draws them.");
    add(
        "warmup_steps",
        "N",
        "Steps of linear warm-up to the peak. Default: a twentieth of all steps.");
    add(
        "warmup_ratio",
        "R",
        "The warm-up as a fraction of all steps, if --warmup-steps is not given. Default: see --warmup-steps.");
    add("lr_decay_steps", "N", "Step at which the schedule ends. Default: the last.");
    add(
        "wsd_decay_steps",
        "N",
        "Steps of decay at the end of a wsd schedule. Default: a fifth of the schedule.");
    add("wsd_decay_shape", "NAME", "Shape of the wsd decay: linear, cosine or sqrt.");
    add("lr_power", "P", "Exponent of a polynomial schedule.");
    add(
        "lr_cycle_steps",
        "N",
        "Steps of an arch of a cosine-restarts schedule. Default: a quarter of the steps behind the warm-up.");
    add("plateau_factor", "F", "What a plateau schedule multiplies the learning rate with.");
    add(
        "plateau_patience",
        "N",
        "Evaluations without a better validation loss that a plateau schedule lets pass before it does.");
    add(
        "plateau_threshold",
        "F",
        "Fraction by which a validation loss must be smaller to be better, for a plateau schedule.");
    add(
        "plateau_cooldown",
        "N",
        "Evaluations after a reduction that a plateau schedule does not count.");
    add(
        "lr_scaling",
        "none|linear|sqrt",
        "Multiply the learning rates by k or √k, where k is the sequences of a step over --lr-base-batch.");
    add(
        "lr_base_batch",
        "N",
        "Sequences a step that the learning rates are meant for, for --lr-scaling.");
    add(
        "rewarmup",
        "true|false",
        "Warm up again, for continued pre-training: from the checkpoint of --resume on, or from the first step on the weights of --model DIR.");
    add(
        "rewarmup_learning_rate",
        "LR",
        "Peak of the second warm-up. Default: a tenth of the one before.");
    add(
        "rewarmup_steps",
        "N",
        "Steps of the second warm-up. Default: a twentieth of the steps that are left.");
    add("rewarmup_at", "N", "Step at which it begins. Default: the one where the run begins.");
    add(
        "rewarmup_from",
        "LR",
        "Learning rate that it starts from. Default: that of the step before, 0 if there is none.");
    add("optimizer", String.join("|", Optimizers.names()), "Rule that updates the weights.");
    add(
        "weight_decay",
        "W",
        "Weight decay, for matrices only; decoupled in adamw, lion, sophia, lamb, muon and adafactor, part of the gradient in the others. Default: that of the rule, 0.1 for adamw.");
    add("decay_all", "true|false", "Apply weight decay to norms and biases as well.");
    add(
        "group",
        "PATTERN: VALUES",
        "Update parameters whose names (those in Hugging Face files) match the pattern otherwise: 'embed*: lr=0.1, decay=0', 'layers.0.*: freeze', '*norm*: optimizer=sgd'. Of several groups later ones win. Default: none.");
    add(
        "adam_beta1",
        "B",
        "Decay rate of the first moment. Default: that of the rule, 0.9 for adamw.");
    add(
        "adam_beta2",
        "B",
        "Decay rate of the second moment. Default: that of the rule, 0.95 for adamw.");
    add(
        "adam_epsilon",
        "E",
        "Added to the denominator. Default: that of the rule, 1e-8 for adamw.");
    add("amsgrad", "true|false", "Adam: divide by the largest second moment so far.");
    add("momentum", "M", "Decay rate of the velocity. Default: 0.9 for sgd, 0 for rmsprop.");
    add("dampening", "D", "SGD: taken off a gradient before it adds to the velocity.");
    add("nesterov", "true|false", "SGD: look ahead of the velocity.");
    add("rmsprop_alpha", "A", "RMSprop: decay rate of the mean of squares.");
    add(
        "rmsprop_centered",
        "true|false",
        "RMSprop: divide by the deviation, not the mean of squares.");
    add("adagrad_lr_decay", "D", "AdaGrad: divide the learning rate by 1 + D·steps.");
    add("adagrad_initial", "S", "AdaGrad: sum of squares before the first step.");
    add("sophia_rho", "R", "Sophia: factor on the curvature; smaller ones clip more elements.");
    add("sophia_interval", "N", "Sophia: steps between estimates of the curvature.");
    add(
        "adam_epsilon_placement",
        "outside|inside|zero-safe",
        "Where epsilon stands in AdamW: m/(√v + ε), m/√(v + ε), or as outside and 0 where v is 0.");
    add(
        "adam_epsilon_steps",
        "N",
        "Steps over which AdamW's epsilon goes, geometrically, to --adam-epsilon-end; 0 for never.");
    add("adam_epsilon_end", "EPS", "AdamW's epsilon after --adam-epsilon-steps.");
    add("muon_momentum", "B", "Decay of Muon's momentum, per step.");
    add(
        "muon_match_rms",
        "true|false",
        "Scale Muon's updates to the length of AdamW's, so that one learning rate serves both.");
    add(
        "adafactor_momentum",
        "B",
        "Decay of a first moment for Adafactor, per step; 0 keeps none, and no memory for it.");
    add(
        "adafactor_scaled",
        "true|false",
        "Make Adafactor's learning rate relative to the root mean square of the weights.");
    add("max_grad_norm", "N", "Clip the gradient to this global norm; 0 disables.");
    add("grad_norm_type", "l1|l2|max", "Norm that --max-grad-norm uses.");
    add("max_grad_value", "N", "Clip each gradient element to this size; 0 disables.");

    add(
        "lora",
        "R",
        "Train adapters of rank R beside the model, whose weights stay as they are. Default: none.");
    add("lora_alpha", "A", "Strength of the adapters: their sum counts A/R times. Default: 2·R.");
    add("lora_dropout", "P", "Dropout probability for the adapters' input. Default: 0.");
    add(
        "lora_targets",
        "NAMES",
        "Layers that get an adapter: all-linear, names such as q_proj,v_proj, or a regular expression of whole names. Default: all-linear.");
    add(
        "lora_rank_pattern",
        "NAME=R,...",
        "Other ranks for some layers, q_proj=4,v_proj=16. Default: none.");
    add("lora_alpha_pattern", "NAME=A,...", "Other alphas for some layers. Default: none.");
    add("rslora", "true|false", "Let the adapters' sum count A/√R times.");
    add("dora", "true|false", "Train the length of each row of the weights apart (DoRA).");
    add("lora_plus_ratio", "X", "Learning rate of the adapters' B as a multiple (LoRA+).");
    add(
        "modules_to_save",
        "NAMES",
        "Modules to train whole beside the adapters, embed_tokens,lm_head. Default: none.");
    add("adapter", "DIR", "Adapter to go on from, as PEFT or Javelin wrote it. Default: none.");

    add(
        "ema_decay",
        "D",
        "Keep a moving average of the weights, which decays by D a step (0.999), and evaluate it, too. Default: none.");
    add(
        "average_checkpoints",
        "K",
        "Write the mean of the newest K checkpoints to average/ at the end; 0 writes none.");

    group(4); // numbers and device
    add("precision", "fp32|bf16|fp16", "Number format of weights and activations.");
    add(
        "weight_update",
        "masters|stochastic|nearest",
        "How bf16 weights take small updates: by fp32 masters beside them, rounded up or down by chance without masters, or rounded to nearest and mostly lost. See docs/training/low-memory-optimizers.md.");
    add(
        "device",
        DeviceSpec.NAMES,
        "Where to compute. auto uses a GPU if it can run the model, otherwise the CPU.");
    add("threads", "N", "CPU threads; results do not depend on the number. Default: one per core.");
    add(
        "memory",
        "SIZE",
        "Memory that the run may take, such as 500MB or 16GB: all of the process, or what lies on the GPU. Default: what the machine or its container has.");
    add(
        "memory_check",
        "true|false",
        "Refuse a run that will not fit into the memory, before it starts.");

    group(5); // evaluation and checkpoints
    add("eval_every", "N", "Steps between evaluations; 0 evaluates at the end only.");
    add("eval_batches", "N", "Batches per evaluation; 0 uses all validation data.");
    add("save_every", "N", "Steps between checkpoints; 0 saves at the end only.");
    add("keep", "N", "Checkpoints to keep besides the best and the latest; 0 keeps all.");
    add(
        "keep_every",
        "N",
        "Steps between checkpoints that are saved and never deleted, whatever --keep says; 0 for none.");
    add(
        "async_save",
        "true|false",
        "Train on while a checkpoint is written, from a copy in memory as large as its files.");
    add(
        "save_signal",
        "USR1|none|NAME",
        "Signal on which the run saves and ends with exit code 75, for Slurm's --signal. Default: USR1, where the system has it.");
    add(
        "max_shard_size",
        "SIZE",
        "Largest file of weights, such as 500MB or 5GB; larger models are written in shards.");
    add(
        "resume",
        "auto|DIR",
        "Continue from the newest complete checkpoint in --output-dir, or from checkpoint DIR. Default: start a new run.");
    add(
        "override",
        "true|false",
        "Allow --resume with another seed, order, sequence length, tokenizer, objective, optimizer or precision, or other data.");

    group(6); // output
    add(
        "output_dir",
        "DIR",
        "Run directory. Default: out, or out-2, out-3, … if that holds a run already.");
    add("logging_steps", "N", "Steps between lines of metrics.jsonl.");
    add("quiet", "true|false", "Print no progress.");
    add(
        "report",
        "true|false",
        "Show the run in report.html in its directory, a page that follows it.");
    add(
        "sample_every",
        "N",
        "Steps between short texts that the model writes for the report; 0 for none. Default: at every evaluation.");
    add("sample_prompt", "TEXT", "What these texts go on from. Default: nothing.");
    add(
        "health_every",
        "N",
        "Steps between readings of the layers: update over weight, layers that stand still, underflow, m/√v; 0 for none. Default: --logging-steps.");
    add(
        "noise_scale",
        "true|false",
        "Measure the gradient noise scale and the critical batch, if a step has several micro-batches.");
    add("trace_step", "N", "Write trace-N.json, every operator of step N. Default: none.");
    add(
        "xray_at",
        "N,N",
        "Steps done, such as 0,100,1000, after which the next step is taken apart on xray.html in the run's directory; the run has the same bits. Default: none.");
    add("xray_text", "TEXT", "Text of at most 256 tokens for it. Default: a sentence of its own.");

    group(7); // spikes and faults
    add(
        "guard",
        "POLICIES",
        "Watch loss and gradient norm, and answer a spike by log, skip, shrink, epsilon or rollback; several in order, such as log,skip:5,rollback. Default: none.");
    add("guard_window", "N", "Healthy steps that the guard compares a step with.");
    add("guard_threshold", "Z", "Robust z-score from which on a step is a spike.");
    add("guard_floor", "F", "Least spread that the guard assumes, as a part of the median.");
    add("guard_warmup", "N", "Steps that the guard only learns from at first.");
    add("guard_calm", "N", "Steps without a spike after which the guard's policies begin anew.");
    add(
        "guard_shrink",
        "A",
        "Policy shrink: factor on the gradients of embedding and first quarter of the layers.");
    add("guard_epsilon", "F", "Policy epsilon: factor on Adam's epsilon.");
    add("guard_recovery", "N", "Steps over which both factors come back to 1.");
    add("guard_rollbacks", "N", "How often a run goes back before it is given up.");
    add(
        "max_bad_steps",
        "N",
        "Steps in a row without a finite loss and gradient that end the run; fewer are left out, and their batches saved.");
    add(
        "inject",
        "FAULTS",
        "Rehearse faults: spike, nan-forward, nan-gradient, nan-moment, overflow, slow-disk, kill, such as spike@200:20,nan-gradient@60,slow-disk@100:2s. Default: none.");

    hidden("--bf16");
    hidden("--fp16");
  }

  /** The options, to be mixed into the verb. */
  static CommandSpec mixin() {
    return new TrainOptions().spec;
  }

  /** The values that a command line gives, by key. */
  static Map<String, Object> given(CommandSpec verb) {
    Map<String, Object> values = new LinkedHashMap<>();
    for (OptionSpec option : verb.options()) {
      Setting setting = Setting.named(option.names()[0]);
      Object value = option.getValue();
      if (value == null) {
        continue;
      }
      if (setting != null) {
        values.put(setting.key(), value);
      } else if (option.hidden() && value.equals("true")) {
        values.put("precision", option.names()[0].substring("--".length()));
      }
    }
    return values;
  }

  private void group(int number) {
    order = number * GROUP;
  }

  private void add(String key, String label, String text) {
    Setting setting = Objects.requireNonNull(Setting.named(key), key);
    List<String> names = new ArrayList<>(List.of(setting.flag()));
    setting.aliases().forEach(alias -> names.add("--" + alias.replace('_', '-')));
    Object standard = setting.plain(RunSettings.DEFAULT);
    String fallback =
        setting.isSwitch()
            ? Boolean.TRUE.equals(standard) ? "on" : "off"
            : brief(String.valueOf(standard));
    OptionSpec.Builder option =
        OptionSpec.builder(names.toArray(new String[0]))
            .order(order++)
            .paramLabel(label)
            .description(standard == null ? text : text + " Default: " + fallback + ".");
    if (setting.isList()) {
      option.type(List.class).auxiliaryTypes(String.class).arity("1..*");
    } else if (setting.isSwitch()) {
      option.type(String.class).arity("0..1").fallbackValue("true");
    } else if (key.equals("resume")) {
      option.type(String.class).arity("0..1").fallbackValue("auto");
    } else if (key.equals("recompute")) {
      option.type(String.class).arity("0..1").fallbackValue("blocks");
    } else {
      option.type(String.class).arity("1");
    }
    spec.addOption(option.build());
  }

  /** {@code 1e-8} for {@code 1.0E-8}, {@code 1} for {@code 1.0}. */
  private static String brief(String number) {
    return number.replaceFirst("(\\d)\\.0(E|$)", "$1$2").replaceFirst("(\\d)E(-?\\d)", "$1e$2");
  }

  private void hidden(String name) {
    spec.addOption(
        OptionSpec.builder(name)
            .type(String.class)
            .arity("0..1")
            .fallbackValue("true")
            .hidden(true)
            .build());
  }
}
