#!/usr/bin/env python3
"""Runs cases as compare.py does and lists what the JVM does with our methods after their warm-up: code left or thrown away, compilation given up.

A case is warmed up by its first request; what the log shows during the second one (--millis) counts. Exit code 1 if there was anything.
"""
import argparse, collections, os, re, subprocess, sys, tempfile

import cases

GROUPS = ("op", "matmul", "train", "generate", "attn")
LOG = ["-XX:+UnlockDiagnosticVMOptions", "-XX:+DisplayVMOutputToStderr", "-XX:+PrintCompilation", "-Xlog:deoptimization=debug:stderr"]
LEFT = re.compile(r"level=\d ([\w.$/]+)\.([\w$<>]+)\(.*? trap_bci=-?\d+ .*?(\S+ \S+) pc=")
DROPPED = re.compile(r"([\w.$/]+)::([\w$<>]+) .*bytes\)\s+(made not entrant: (?!not used|OSR).*|COMPILE SKIPPED.*)")


def event(line):
    found = LEFT.search(line) or DROPPED.search(line)
    return found and found[1].startswith("dev.javelin") and f"{found[1].split('.')[-1]}.{found[2]}: {found[3].strip()}"


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--java", required=True)
    parser.add_argument("--classpath", required=True)
    parser.add_argument("--threads", default="2")
    parser.add_argument("--precision", default="fp32", choices=cases.MEANS)
    parser.add_argument("--millis", default="1000")
    parser.add_argument("--jvm", action="append", default=[], help="an option of the JVM: --jvm=-XX:UseAVX=2")
    parser.add_argument("case", nargs="*", help="part of 'group name'")
    args = parser.parse_args()
    found = False
    with tempfile.NamedTemporaryFile("r", errors="replace") as log, open(log.name, "w") as out:
        command = [args.java, "--add-modules", "jdk.incubator.vector", "--enable-native-access=ALL-UNNAMED", "-XX:+UseSerialGC", *LOG, *args.jvm,
                   "-cp", args.classpath, "dev.javelin.bench.Compare", args.threads]
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=out, text=True) as jvm:

            def ask(group, name):
                jvm.stdin.write(f"{group} {name} {args.millis} {args.precision}\n")
                jvm.stdin.flush()
                line = next((line for line in jvm.stdout if line.startswith("{")), None)
                return line or sys.exit(f"deopt: no answer to {group} {name}")

            for group, name, _ in cases.all_cases(args.precision, False):
                if group not in GROUPS or args.case and not any(c in f"{group} {name}" for c in args.case):
                    continue
                ask(group, name)
                log.seek(0, os.SEEK_END)
                ms = re.search(r'"ms":([\d.]+)', ask(group, name))[1]
                events = collections.Counter(filter(None, map(event, log)))
                print(f"{group} {name}: {ms} ms, {sum(events.values())} events", flush=True)
                for what, times in events.most_common():
                    print(f"    {times} x {what}")
                found = found or bool(events)
            jvm.stdin.close()
    sys.exit(found)


main()
