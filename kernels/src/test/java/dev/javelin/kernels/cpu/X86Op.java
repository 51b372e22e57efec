package dev.javelin.kernels.cpu;

import java.util.HashMap;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/**
 * The instructions that {@link X86Machine} knows. Those with a VEX or EVEX prefix carry their
 * encoding as the manual prints it; the decoder finds them here. The older ones have no such
 * regular form and stand in the decoder.
 *
 * @see <a href="https://www.intel.com/sdm">Intel 64 and IA-32 Architectures Software Developer's
 *     Manual, volume 2</a>
 */
enum X86Op {
  ADD,
  OR,
  AND,
  SUB,
  XOR,
  CMP,
  TEST,
  MOV,
  MOVZX,
  MOVSXD,
  LEA,
  IMUL,
  INC,
  DEC,
  NEG,
  NOT,
  SHL,
  SHR,
  SAR,
  PUSH,
  POP,
  RET,
  JMP,
  J,
  CMOV,
  NOP,
  CPUID,
  XGETBV,
  SYSCALL,
  ENDBR64,
  PREFETCHT0,
  PREFETCHT1,
  PREFETCHT2,
  PREFETCHNTA,

  BZHI("bzhi", Form.RMV, Coding.VEX, 0, 2, 0xf5, -1, Tuple.NONE),
  SHLX("shlx", Form.RMV, Coding.VEX, 0x66, 2, 0xf7, -1, Tuple.NONE),

  VMOVUPS_LOAD("vmovups", Form.RM, Coding.BOTH, 0, 1, 0x10, 0, Tuple.FULL_MEM),
  VMOVUPS_STORE("vmovups", Form.MR, Coding.BOTH, 0, 1, 0x11, 0, Tuple.FULL_MEM),
  VMOVUPD_LOAD("vmovupd", Form.RM, Coding.BOTH, 0x66, 1, 0x10, 1, Tuple.FULL_MEM),
  VMOVUPD_STORE("vmovupd", Form.MR, Coding.BOTH, 0x66, 1, 0x11, 1, Tuple.FULL_MEM),
  VMOVAPS_LOAD("vmovaps", Form.RM, Coding.BOTH, 0, 1, 0x28, 0, Tuple.FULL_MEM),
  VMOVAPS_STORE("vmovaps", Form.MR, Coding.BOTH, 0, 1, 0x29, 0, Tuple.FULL_MEM),
  VMOVDQU_LOAD("vmovdqu", Form.RM, Coding.VEX, 0xf3, 1, 0x6f, -1, Tuple.FULL_MEM),
  VMOVDQU_STORE("vmovdqu", Form.MR, Coding.VEX, 0xf3, 1, 0x7f, -1, Tuple.FULL_MEM),
  VMOVDQA_LOAD("vmovdqa", Form.RM, Coding.VEX, 0x66, 1, 0x6f, -1, Tuple.FULL_MEM),
  VMOVDQA_STORE("vmovdqa", Form.MR, Coding.VEX, 0x66, 1, 0x7f, -1, Tuple.FULL_MEM),
  VMOVDQU32_LOAD("vmovdqu32", Form.RM, Coding.EVEX, 0xf3, 1, 0x6f, 0, Tuple.FULL_MEM),
  VMOVDQU32_STORE("vmovdqu32", Form.MR, Coding.EVEX, 0xf3, 1, 0x7f, 0, Tuple.FULL_MEM),
  VMOVDQU64_LOAD("vmovdqu64", Form.RM, Coding.EVEX, 0xf3, 1, 0x6f, 1, Tuple.FULL_MEM),
  VMOVDQU64_STORE("vmovdqu64", Form.MR, Coding.EVEX, 0xf3, 1, 0x7f, 1, Tuple.FULL_MEM),
  VMOVDQA32_LOAD("vmovdqa32", Form.RM, Coding.EVEX, 0x66, 1, 0x6f, 0, Tuple.FULL_MEM),
  VMOVDQA32_STORE("vmovdqa32", Form.MR, Coding.EVEX, 0x66, 1, 0x7f, 0, Tuple.FULL_MEM),
  VMOVDQA64_LOAD("vmovdqa64", Form.RM, Coding.EVEX, 0x66, 1, 0x6f, 1, Tuple.FULL_MEM),
  VMOVDQA64_STORE("vmovdqa64", Form.MR, Coding.EVEX, 0x66, 1, 0x7f, 1, Tuple.FULL_MEM),
  VMOVDQU16_LOAD("vmovdqu16", Form.RM, Coding.EVEX, 0xf2, 1, 0x6f, 1, Tuple.FULL_MEM),
  VMOVDQU16_STORE("vmovdqu16", Form.MR, Coding.EVEX, 0xf2, 1, 0x7f, 1, Tuple.FULL_MEM),
  VMOVDQU8_LOAD("vmovdqu8", Form.RM, Coding.EVEX, 0xf2, 1, 0x6f, 0, Tuple.FULL_MEM),
  VADDPS("vaddps", Form.RVM, Coding.BOTH, 0, 1, 0x58, 0, Tuple.FULL),
  VMULPS("vmulps", Form.RVM, Coding.BOTH, 0, 1, 0x59, 0, Tuple.FULL),
  VSUBPS("vsubps", Form.RVM, Coding.BOTH, 0, 1, 0x5c, 0, Tuple.FULL),
  VXORPS("vxorps", Form.RVM, Coding.BOTH, 0, 1, 0x57, 0, Tuple.FULL),
  VPXOR("vpxor", Form.RVM, Coding.VEX, 0x66, 1, 0xef, -1, Tuple.FULL),
  VPXORD("vpxord", Form.RVM, Coding.EVEX, 0x66, 1, 0xef, 0, Tuple.FULL),
  VPANDD("vpandd", Form.RVM, Coding.EVEX, 0x66, 1, 0xdb, 0, Tuple.FULL),
  VPADDD("vpaddd", Form.RVM, Coding.BOTH, 0x66, 1, 0xfe, 0, Tuple.FULL),
  VFMADD231PS("vfmadd231ps", Form.RVM, Coding.BOTH, 0x66, 2, 0xb8, 0, Tuple.FULL),
  VADDPD("vaddpd", Form.RVM, Coding.EVEX, 0x66, 1, 0x58, 1, Tuple.FULL_MEM),
  VFMADD231PD("vfmadd231pd", Form.RVM, Coding.EVEX, 0x66, 2, 0xb8, 1, Tuple.FULL_MEM),
  VCVTPS2PD("vcvtps2pd", Form.RM, Coding.EVEX, 0, 1, 0x5a, 0, Tuple.HALF_MEM),
  VBROADCASTSS("vbroadcastss", Form.RM, Coding.BOTH, 0x66, 2, 0x18, 0, Tuple.SCALAR),
  VPBROADCASTD("vpbroadcastd", Form.RM, Coding.BOTH, 0x66, 2, 0x58, 0, Tuple.SCALAR),
  VCVTDQ2PS("vcvtdq2ps", Form.RM, Coding.BOTH, 0, 1, 0x5b, 0, Tuple.FULL),
  VPERMT2W("vpermt2w", Form.RVM, Coding.EVEX, 0x66, 2, 0x7d, 1, Tuple.FULL_MEM),
  VDPBF16PS("vdpbf16ps", Form.RVM, Coding.EVEX, 0xf3, 2, 0x52, 0, Tuple.FULL),
  VCVTNE2PS2BF16("vcvtne2ps2bf16", Form.RVM, Coding.EVEX, 0xf2, 2, 0x72, 0, Tuple.FULL),
  VPDPBUSD("vpdpbusd", Form.RVM, Coding.BOTH, 0x66, 2, 0x50, 0, Tuple.FULL),
  VMOVSS_STORE("vmovss", Form.MR, Coding.EVEX, 0xf3, 1, 0x11, 0, Tuple.SCALAR),
  VPMOVZXWD("vpmovzxwd", Form.RM, Coding.EVEX, 0x66, 2, 0x33, 0, Tuple.HALF_MEM),
  VPMOVSXBD("vpmovsxbd", Form.RM, Coding.EVEX, 0x66, 2, 0x21, 0, Tuple.QUARTER_MEM),
  VCVTPH2PS("vcvtph2ps", Form.RM, Coding.EVEX, 0x66, 2, 0x13, 0, Tuple.HALF_MEM),
  VPBROADCASTQ("vpbroadcastq", Form.RM, Coding.EVEX, 0x66, 2, 0x59, 1, Tuple.SCALAR_64),
  VBROADCASTI64X4("vbroadcasti64x4", Form.RM, Coding.EVEX, 0x66, 2, 0x5b, 1, Tuple.HALF_MEM),
  VPSLLD("vpslld", Form.VMI, Coding.EVEX, 0x66, 1, 0x72, 0, Tuple.FULL),
  VPSRLVD("vpsrlvd", Form.RVM, Coding.EVEX, 0x66, 2, 0x45, 0, Tuple.FULL),
  VPSHUFB("vpshufb", Form.RVM, Coding.EVEX, 0x66, 2, 0x00, 0, Tuple.FULL_MEM),
  VPERMPS("vpermps", Form.RVM, Coding.EVEX, 0x66, 2, 0x16, 0, Tuple.FULL),
  VSHUFPS("vshufps", Form.RVMI, Coding.EVEX, 0, 1, 0xc6, 0, Tuple.FULL),
  VSHUFF64X2("vshuff64x2", Form.RVMI, Coding.EVEX, 0x66, 3, 0x23, 1, Tuple.FULL_MEM),
  VEXTRACTF32X4("vextractf32x4", Form.MRI, Coding.EVEX, 0x66, 3, 0x19, 0, Tuple.NONE),
  VZEROUPPER("vzeroupper", Form.NONE, Coding.VEX, 0, 1, 0x77, -1, Tuple.NONE),

  KMOVW_STORE("kmovw", Form.KR, Coding.VEX, 0, 1, 0x93, 0, Tuple.NONE),
  KMOVW("kmovw", Form.RK, Coding.VEX, 0, 1, 0x92, 0, Tuple.NONE),
  KMOVD("kmovd", Form.RK, Coding.VEX, 0xf2, 1, 0x92, 0, Tuple.NONE),
  KMOVQ("kmovq", Form.RK, Coding.VEX, 0xf2, 1, 0x92, 1, Tuple.NONE),

  LDTILECFG("ldtilecfg", Form.M, Coding.VEX, 0, 2, 0x49, 0, Tuple.NONE),
  STTILECFG("sttilecfg", Form.M, Coding.VEX, 0x66, 2, 0x49, 0, Tuple.NONE),
  TILERELEASE("tilerelease", Form.NONE, Coding.VEX, 0, 2, 0x49, 0, Tuple.NONE),
  TILEZERO("tilezero", Form.T, Coding.VEX, 0xf2, 2, 0x49, 0, Tuple.NONE),
  TILELOADD("tileloadd", Form.TM, Coding.VEX, 0xf2, 2, 0x4b, 0, Tuple.NONE),
  TILELOADDT1("tileloaddt1", Form.TM, Coding.VEX, 0x66, 2, 0x4b, 0, Tuple.NONE),
  TILESTORED("tilestored", Form.MT, Coding.VEX, 0xf3, 2, 0x4b, 0, Tuple.NONE),
  TDPBF16PS("tdpbf16ps", Form.TTT, Coding.VEX, 0xf3, 2, 0x5c, 0, Tuple.NONE);

  /**
   * The operands, destination first: R is ModRM.reg, M is ModRM.r/m, V is vvvv, K an opmask, T a
   * tile, I a byte behind all.
   */
  enum Form {
    NONE,
    M,
    RM,
    MR,
    RVM,
    RMV,
    RVMI,
    MRI,
    VMI,
    RK,
    KR,
    T,
    TM,
    MT,
    TTT
  }

  /** Which of the two prefixes may stand before it. */
  enum Coding {
    LEGACY,
    VEX,
    EVEX,
    BOTH
  }

  /** What an EVEX displacement of one byte counts in; only FULL may broadcast. */
  enum Tuple {
    NONE,
    FULL,
    FULL_MEM,
    HALF_MEM,
    QUARTER_MEM,
    SCALAR,
    SCALAR_64
  }

  final String text;
  final Form form;
  final Coding coding;
  final Tuple tuple;
  private final int prefix;
  private final int map;
  private final int opcode;
  private final int w;

  X86Op() {
    this("", Form.NONE, Coding.LEGACY, 0, 0, 0, -1, Tuple.NONE);
  }

  X86Op(
      String text, Form form, Coding coding, int prefix, int map, int opcode, int w, Tuple tuple) {
    this.text = text;
    this.form = form;
    this.coding = coding;
    this.prefix = prefix;
    this.map = map;
    this.opcode = opcode;
    this.w = w;
    this.tuple = tuple;
  }

  private static final Map<Integer, X86Op> VEX_OPS = new HashMap<>();
  private static final Map<Integer, X86Op> EVEX_OPS = new HashMap<>();

  static {
    for (X86Op op : values()) {
      boolean vex = op.coding == Coding.VEX || op.coding == Coding.BOTH;
      boolean evex = op.coding == Coding.EVEX || op.coding == Coding.BOTH;
      for (int w = 0; w < 2; w++) {
        // The manual's WIG: of the moves and sums with VEX, W says nothing.
        boolean ignored = op.w < 0 || op.map == 1 && op.coding == Coding.BOTH;
        int key = key(op.prefix, op.map, op.opcode, w);
        if (vex && (ignored || op.w == w)) {
          VEX_OPS.putIfAbsent(key, op);
        }
        if (evex && op.w == w) {
          EVEX_OPS.putIfAbsent(key, op);
        }
      }
    }
  }

  private static int key(int prefix, int map, int opcode, int w) {
    return prefix << 24 | map << 16 | opcode << 8 | w;
  }

  static @Nullable X86Op of(boolean evex, int prefix, int map, int opcode, int w) {
    return (evex ? EVEX_OPS : VEX_OPS).get(key(prefix, map, opcode, w));
  }
}
