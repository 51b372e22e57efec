package dev.javelin.kernels.cpu;

import static dev.javelin.kernels.cpu.X86.Gp.R10;
import static dev.javelin.kernels.cpu.X86.Gp.R12;
import static dev.javelin.kernels.cpu.X86.Gp.R13;
import static dev.javelin.kernels.cpu.X86.Gp.R15;
import static dev.javelin.kernels.cpu.X86.Gp.R8;
import static dev.javelin.kernels.cpu.X86.Gp.R9;
import static dev.javelin.kernels.cpu.X86.Gp.RAX;
import static dev.javelin.kernels.cpu.X86.Gp.RBP;
import static dev.javelin.kernels.cpu.X86.Gp.RBX;
import static dev.javelin.kernels.cpu.X86.Gp.RCX;
import static dev.javelin.kernels.cpu.X86.Gp.RDI;
import static dev.javelin.kernels.cpu.X86.Gp.RDX;
import static dev.javelin.kernels.cpu.X86.Gp.RSI;
import static dev.javelin.kernels.cpu.X86.Gp.RSP;
import static dev.javelin.kernels.cpu.X86.at;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.IOException;
import java.io.InputStream;
import java.nio.charset.StandardCharsets;
import java.util.HexFormat;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.function.Consumer;
import org.junit.jupiter.api.Test;

/** Our assembler against the bytes of binutils' assembler, which x86.txt holds. */
class X86Test {
  /** What {@code as} reads, and our method for it. */
  private static final Map<String, Consumer<X86>> INSTRUCTIONS = new LinkedHashMap<>();

  private static void add(String assembly, Consumer<X86> ours) {
    INSTRUCTIONS.put(assembly, ours);
  }

  static {
    add("mov rax, rsi", x -> x.mov(RAX, RSI));
    add("mov r9, rdx", x -> x.mov(R9, RDX));
    add("mov rcx, r15", x -> x.mov(RCX, R15));
    add("mov r12, r13", x -> x.mov(R12, R13));
    add("mov rcx, 0", x -> x.mov(RCX, 0));
    add("mov r8, -2", x -> x.mov(R8, -2));
    add("mov rsi, 305419896", x -> x.mov(RSI, 0x12345678));
    add("mov [rdi], eax", x -> x.mov32(at(RDI), RAX));
    add("mov [rdi+4], ebx", x -> x.mov32(at(RDI, 4), RBX));
    add("mov [rsp+8], ecx", x -> x.mov32(at(RSP, 8), RCX));
    add("mov [rbp], edx", x -> x.mov32(at(RBP), RDX));
    add("mov [rsi-132], edi", x -> x.mov32(at(RSI, -132), RDI));
    add("add rdi, rsi", x -> x.add(RDI, RSI));
    add("add r8, r9", x -> x.add(R8, R9));
    add("add rax, r15", x -> x.add(RAX, R15));
    add("add rdx, 48", x -> x.add(RDX, 48));
    add("add rcx, 127", x -> x.add(RCX, 127));
    add("add rcx, 128", x -> x.add(RCX, 128));
    add("add rax, 4096", x -> x.add(RAX, 4096));
    add("add r12, -128", x -> x.add(R12, -128));
    add("sub r8, 1", x -> x.sub(R8, 1));
    add("sub rax, 1000", x -> x.sub(RAX, 1000));
    add("sub r15, 1000", x -> x.sub(R15, 1000));
    add("push rbx", x -> x.push(RBX));
    add("pop rbx", x -> x.pop(RBX));
    add("push rdi", x -> x.push(RDI));
    add("pop rbp", x -> x.pop(RBP));
    add("ret", X86::ret);
    add("cpuid", X86::cpuid);
    add("xgetbv", X86::xgetbv);
    add("vzeroupper", X86::vzeroupper);
    add("vpxord zmm0, zmm0, zmm0", x -> x.vpxord(0, 0, 0));
    add("vpxord zmm23, zmm23, zmm23", x -> x.vpxord(23, 23, 23));
    add("vpxord zmm1, zmm10, zmm20", x -> x.vpxord(1, 10, 20));
    add("vpxord zmm31, zmm7, zmm8", x -> x.vpxord(31, 7, 8));
    add("vpxord zmm9, zmm16, zmm31", x -> x.vpxord(9, 16, 31));
    add("vmovups zmm24, [rcx]", x -> x.vmovups(24, at(RCX)));
    add("vmovups zmm25, [rcx+64]", x -> x.vmovups(25, at(RCX, 64)));
    add("vmovups zmm0, [rbp]", x -> x.vmovups(0, at(RBP)));
    add("vmovups zmm8, [r13]", x -> x.vmovups(8, at(R13)));
    add("vmovups zmm15, [rsp+128]", x -> x.vmovups(15, at(RSP, 128)));
    add("vmovups zmm16, [r12-64]", x -> x.vmovups(16, at(R12, -64)));
    add("vmovups zmm3, [r8+65]", x -> x.vmovups(3, at(R8, 65)));
    add("vmovups zmm4, [rdx+8128]", x -> x.vmovups(4, at(RDX, 8128)));
    add("vmovups zmm4, [rdx+8192]", x -> x.vmovups(4, at(RDX, 8192)));
    add("vmovups [rdi], zmm0", x -> x.vmovups(at(RDI), 0));
    add("vmovups [rdi+64], zmm23", x -> x.vmovups(at(RDI, 64), 23));
    add("vmovups [r15-8192], zmm31", x -> x.vmovups(at(R15, -8192), 31));
    add("vmovups [r9+4], zmm12", x -> x.vmovups(at(R9, 4), 12));
    add("vdpbf16ps zmm0, zmm24, zmm26", x -> x.vdpbf16ps(0, 24, 26));
    add("vdpbf16ps zmm23, zmm25, zmm31", x -> x.vdpbf16ps(23, 25, 31));
    add("vdpbf16ps zmm8, zmm1, zmm15", x -> x.vdpbf16ps(8, 1, 15));
    add("vdpbf16ps zmm31, zmm15, zmm7", x -> x.vdpbf16ps(31, 15, 7));
    add("vbroadcastss zmm26, dword ptr [rdx]", x -> x.vbroadcastss(26, at(RDX)));
    add("vbroadcastss zmm31, dword ptr [rdx+44]", x -> x.vbroadcastss(31, at(RDX, 44)));
    add("vbroadcastss zmm7, dword ptr [r13-512]", x -> x.vbroadcastss(7, at(R13, -512)));
    add("vbroadcastss zmm16, dword ptr [r12+513]", x -> x.vbroadcastss(16, at(R12, 513)));
    add("vfmadd231ps zmm0, zmm26, zmm24", x -> x.vfmadd231ps(0, 26, 24));
    add("vfmadd231ps zmm23, zmm31, zmm25", x -> x.vfmadd231ps(23, 31, 25));
    add("vfmadd231ps zmm9, zmm1, zmm15", x -> x.vfmadd231ps(9, 1, 15));
    add("vfmadd231ps zmm31, zmm8, zmm7", x -> x.vfmadd231ps(31, 8, 7));
    add("syscall", x -> x.syscall());
    add("ldtilecfg [r9]", x -> x.ldtilecfg(at(R9)));
    add("ldtilecfg [rsp+64]", x -> x.ldtilecfg(at(RSP, 64)));
    add("ldtilecfg [rbp]", x -> x.ldtilecfg(at(RBP)));
    add("tilerelease", X86::tilerelease);
    add("tilezero tmm0", x -> x.tilezero(0));
    add("tilezero tmm7", x -> x.tilezero(7));
    add("tileloadd tmm4, [rdx+rax*1]", x -> x.tileloadd(4, at(RDX), RAX));
    add("tileloadd tmm7, [rcx+r9*1+64]", x -> x.tileloadd(7, at(RCX, 64), R9));
    add("tileloadd tmm5, [r13+r12*1]", x -> x.tileloadd(5, at(R13), R12));
    add("tileloadd tmm5, [rdx+rax*1+1024]", x -> x.tileloadd(5, at(RDX, 1024), RAX));
    add("tileloadd tmm1, [r12+rbp*1-128]", x -> x.tileloadd(1, at(R12, -128), RBP));
    add("tilestored [rdi+rsi*1], tmm0", x -> x.tilestored(at(RDI), RSI, 0));
    add("tilestored [rsp+r15*1+127], tmm3", x -> x.tilestored(at(RSP, 127), R15, 3));
    add("tdpbf16ps tmm0, tmm4, tmm6", x -> x.tdpbf16ps(0, 4, 6));
    add("tdpbf16ps tmm3, tmm5, tmm7", x -> x.tdpbf16ps(3, 5, 7));
    add("tdpbf16ps tmm7, tmm1, tmm2", x -> x.tdpbf16ps(7, 1, 2));
    add("kmovd k1, r9d", x -> x.kmovd(1, R9));
    add("kmovd k7, eax", x -> x.kmovd(7, RAX));
    add("vmovups [rdi]{k1}, zmm0", x -> x.vmovups(at(RDI), 1, 0));
    add("vmovups [r13+64]{k3}, zmm23", x -> x.vmovups(at(R13, 64), 3, 23));
    add("vmovups zmm0{k1}{z}, [rdx]", x -> x.vmovups(0, 1, at(RDX)));
    add("vmovups zmm21{k7}{z}, [r10+48]", x -> x.vmovups(21, 7, at(R10, 48)));
    add("vmovdqu16 [rdi]{k1}, zmm2", x -> x.vmovdqu16(at(RDI), 1, 2));
    add("vmovdqu16 [r12-64]{k7}, zmm31", x -> x.vmovdqu16(at(R12, -64), 7, 31));
    add("vaddps zmm0{k1}, zmm0, [rdi]", x -> x.vaddps(0, 1, 0, at(RDI)));
    add("vaddps zmm23, zmm9, [r8+64]", x -> x.vaddps(23, 0, 9, at(R8, 64)));
    add("vcvtne2ps2bf16 zmm0, zmm1, zmm0", x -> x.vcvtne2ps2bf16(0, 1, 0));
    add("vcvtne2ps2bf16 zmm22, zmm23, zmm9", x -> x.vcvtne2ps2bf16(22, 23, 9));
    add("vcvtne2ps2bf16 zmm1, zmm7, zmm30", x -> x.vcvtne2ps2bf16(1, 7, 30));
    add("vmovdqu16 zmm0{k1}{z}, [rdx]", x -> x.vmovdqu16(0, 1, at(RDX)));
    add("vmovdqu16 zmm17{k2}{z}, [r10+24]", x -> x.vmovdqu16(17, 2, at(R10, 24)));
    add("vmovups zmm30, [rip+246]", x -> x.vmovupsFromCode(30, 256));
    add("vmovups zmm7, [rip+0]", x -> x.vmovupsFromCode(7, 10));
    add("vpermt2w zmm0, zmm30, zmm2", x -> x.vpermt2w(0, 30, 2));
    add("vpermt2w zmm17, zmm3, zmm25", x -> x.vpermt2w(17, 3, 25));
    add("mov rax, [rdi]", x -> x.mov(RAX, at(RDI)));
    add("mov r9, [rdi+64]", x -> x.mov(R9, at(RDI, 64)));
    add("mov rdx, [r12+8]", x -> x.mov(RDX, at(R12, 8)));
    add("mov r15, [rbp-132]", x -> x.mov(R15, at(RBP, -132)));
    add("add rax, [rdi]", x -> x.add(RAX, at(RDI)));
    add("add r12, [r13+8]", x -> x.add(R12, at(R13, 8)));
    add("push r8", x -> x.push(R8));
    add("push r15", x -> x.push(R15));
    add("pop r12", x -> x.pop(R12));
    add("prefetcht0 [rcx+256]", x -> x.prefetcht0(at(RCX, 256)));
    add("prefetcht0 [r10]", x -> x.prefetcht0(at(R10)));
    add("vaddps zmm1, zmm17, zmm30", x -> x.vaddps(1, 17, 30));
    add("vmulps zmm24, zmm9, zmm31", x -> x.vmulps(24, 9, 31));
    add("vcvtdq2ps zmm17, zmm25", x -> x.vcvtdq2ps(17, 25));
    add("vcvtph2ps zmm24, ymmword ptr [rcx+32]", x -> x.vcvtph2ps(24, at(RCX, 32)));
    add("vcvtph2ps zmm3, ymmword ptr [r8+33]", x -> x.vcvtph2ps(3, at(R8, 33)));
    add("vpmovzxwd zmm24, ymmword ptr [rcx]", x -> x.vpmovzxwd(24, at(RCX)));
    add("vpmovzxwd zmm7, ymmword ptr [r10+96]", x -> x.vpmovzxwd(7, at(R10, 96)));
    add("vpmovsxbd zmm24, xmmword ptr [rcx+48]", x -> x.vpmovsxbd(24, at(RCX, 48)));
    add("vpmovsxbd zmm9, xmmword ptr [r9+17]", x -> x.vpmovsxbd(9, at(R9, 17)));
    add("vpslld zmm24, zmm25, 16", x -> x.vpslld(24, 25, 16));
    add("vpslld zmm3, zmm8, 1", x -> x.vpslld(3, 8, 1));
    add("vpsrlvd zmm24, zmm25, zmm7", x -> x.vpsrlvd(24, 25, 7));
    add("vpbroadcastq zmm24, qword ptr [rcx+24]", x -> x.vpbroadcastq(24, at(RCX, 24)));
    add("vpbroadcastq zmm1, qword ptr [r12+9]", x -> x.vpbroadcastq(1, at(R12, 9)));
    add("vpshufb zmm24, zmm9, zmm31", x -> x.vpshufb(24, 9, 31));
    add("vpermps zmm24, zmm9, zmm31", x -> x.vpermps(24, 9, 31));
    add("vshuff64x2 zmm24, zmm9, zmm31, 68", x -> x.vshuff64x2(24, 9, 31, 0x44));
    add("vshuff64x2 zmm1, zmm20, zmm2, 221", x -> x.vshuff64x2(1, 20, 2, 0xDD));
    add("vshufps zmm24, zmm9, zmm31, 78", x -> x.vshufps(24, 9, 31, 0x4E));
    add("vextractf32x4 xmm24, zmm9, 3", x -> x.vextractf32x4(24, 9, 3));
    add("vextractf32x4 xmm3, zmm31, 1", x -> x.vextractf32x4(3, 31, 1));
    add("vmovss dword ptr [rdx+4], xmm24", x -> x.vmovss(at(RDX, 4), 24));
    add("vmovss dword ptr [r9+6], xmm17", x -> x.vmovss(at(R9, 6), 17));
    add("kmovq k1, rax", x -> x.kmovq(1, RAX));
    add("kmovq k6, r13", x -> x.kmovq(6, R13));
    add("vmovdqu8 zmm24{k1}{z}, [rcx]", x -> x.vmovdqu8(24, 1, at(RCX)));
    add("vmovdqu8 zmm7{k5}{z}, [r12+129]", x -> x.vmovdqu8(7, 5, at(R12, 129)));
    add("vbroadcasti64x4 zmm24, [rcx+32]", x -> x.vbroadcasti64x4(24, at(RCX, 32)));
    add("vbroadcasti64x4 zmm9, [r8+33]", x -> x.vbroadcasti64x4(9, at(R8, 33)));
    add("vpandd zmm24, zmm9, zmm31", x -> x.vpandd(24, 9, 31));
    add("vpdpbusd zmm28, zmm9, zmm31", x -> x.vpdpbusd(28, 9, 31));
    add("vpdpbusd zmm1, zmm20, zmm2", x -> x.vpdpbusd(1, 20, 2));
    add("mov eax, ecx", x -> x.mov32(RAX, RCX));
    add("mov eax, r9d", x -> x.mov32(RAX, R9));
    add("mov r13d, ebx", x -> x.mov32(R13, RBX));
    add("shr rcx, 32", x -> x.shr(RCX, 32));
    add("shr r9, 32", x -> x.shr(R9, 32));
    add("vcvtps2pd zmm2, ymmword ptr [rdi+32]", x -> x.vcvtps2pd(2, at(RDI, 32)));
    add("vcvtps2pd zmm17, ymmword ptr [r9+5]", x -> x.vcvtps2pd(17, at(R9, 5)));
    add("vfmadd231pd zmm0, zmm2, zmm2", x -> x.vfmadd231pd(0, 2, 2));
    add("vfmadd231pd zmm9, zmm17, zmm31", x -> x.vfmadd231pd(9, 17, 31));
    add("vaddpd zmm0, zmm0, zmm1", x -> x.vaddpd(0, 0, 1));
    add("vaddpd zmm24, zmm9, zmm31", x -> x.vaddpd(24, 9, 31));
  }

  /** Loops that {@code as} writes with a jump of one byte, and of four. */
  private static void loop(X86 x, int length) {
    int start = x.here();
    for (int i = 0; i < length; i++) {
      x.vpxord(0, 0, 0);
    }
    x.jnz(start);
  }

  private record Line(byte[] bytes, String assembly) {}

  private static List<Line> expected() throws IOException {
    try (InputStream in = X86Test.class.getResourceAsStream("x86.txt")) {
      String text = new String(Objects.requireNonNull(in).readAllBytes(), StandardCharsets.UTF_8);
      return text.lines()
          .filter(l -> !l.startsWith("#"))
          .map(l -> l.split("\t"))
          .map(l -> new Line(HexFormat.ofDelimiter(" ").parseHex(l[0]), l[1]))
          .toList();
    }
  }

  private static byte[] assembled(Consumer<X86> instruction) {
    X86 x = new X86();
    instruction.accept(x);
    return x.bytes();
  }

  @Test
  void writesTheBytesOfBinutils() throws IOException {
    List<Line> lines = expected();
    assertThat(lines.stream().map(Line::assembly)).containsExactlyElementsOf(INSTRUCTIONS.keySet());
    for (Line line : lines) {
      Consumer<X86> ours = Objects.requireNonNull(INSTRUCTIONS.get(line.assembly()));
      assertThat(HexFormat.of().formatHex(assembled(ours)))
          .as(line.assembly())
          .isEqualTo(HexFormat.of().formatHex(line.bytes()));
    }
  }

  @Test
  void jumpsBackByOneByteWhereItReachesAndByFourElsewhere() {
    // 21 x 6 bytes and the jump: -128, the farthest of one byte. One more needs 0F 85.
    assertThat(assembled(x -> loop(x, 21))).endsWith(0x75, 0x80);
    assertThat(assembled(x -> loop(x, 22))).endsWith(0x0F, 0x85, 0x76, 0xFF, 0xFF, 0xFF);
  }

  @Test
  void refusesRegistersThatTheShortFormsCannotName() {
    assertThatThrownBy(() -> new X86().mov32(at(R8), RAX)).hasMessageContaining("below R8");
    assertThatThrownBy(() -> new X86().mov32(at(RAX), R8)).hasMessageContaining("below R8");
    assertThatThrownBy(() -> new X86().tileloadd(0, at(RAX), RSP)).hasMessageContaining("stride");
  }
}
