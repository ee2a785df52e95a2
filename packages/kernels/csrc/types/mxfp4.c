// MXFP4: blocks of 32 = scale (E8M0), 16 bytes of E2M1 codes (fp4.h). ggml ignores importance here.

#include "fp4.h"
#include "kernel.h"

enum { MXFP4_SIZE = 17 };

#define E8M0_EXPONENT 0xff // NaN

// Half of 2^(e - 127), as ggml_e8m0_to_fp32_half of ggml-impl.h: NaN's code 255 is a power of two like the others.
INLINE float e8m0_half(uint8_t e) { return bits_float(e < 2 ? 0x00200000u << e : (uint32_t)(e - 1) << 23); }

// floorf(log2f(x)) for x > 0. A logarithm just below an integer is rounded to it when x is fewer than ln(2) * 2^k ulps below a
// power of two, where 2^k <= |log2(x)| < 2^(k + 1).
INLINE vi floor_log2(vf x) {
  vm denormal = vlt(x, vsplat(0x1p-126f));
  vi bits = (vi)vselect(denormal, x * 0x1p64f, x);
  vi exponent = (bits >> 23) - vselect_int(denormal, vsplat_int(127 + 64), vsplat_int(127));
  vf distance = __builtin_convertvector(exponent ^ exponent >> 31, vf);
  vi ulps = vtruncate((vf)((vi)distance & 0x7f800000) * 0.693147181f);
  return exponent + (((bits & 0x007fffff) + ulps) >> 23);
}

// The exponent of the largest magnitude less 2, E2M1's own largest exponent. It wraps around below 2^-125, as in ggml compiled
// for x86-64: such weights get large scales and become 0; those of at least 2^-126 get NaN.
INLINE vi mxfp4_scales(vf largest) {
  vi e = (floor_log2(largest) + (127 - 2)) & 0xff;
  return vselect_int(vgt(largest, vsplat(0)), e, (vi){0});
}

static void quantize_mxfp4(const float *source, uint8_t *target, int64_t rows, int64_t columns, const float *importance) {
  (void)importance;
  int64_t blocks = rows * columns / BLOCK;
  for (int64_t first = 0; first < blocks; first += VEC_LANES) {
    int count = lanes_of(blocks - first);
    vf largest = block_magnitudes(source + first * BLOCK, BLOCK, count);
    vi scales = mxfp4_scales(largest);
    for (int lane = 0; lane < count; lane++) {
      uint8_t *block = target + (first + lane) * MXFP4_SIZE;
      vi codes[2 * HALF_VECTORS];
      block[0] = (uint8_t)scales[lane];
      fp4_codes(source + (first + lane) * BLOCK, 2 * HALF_VECTORS, largest[lane], e8m0_half(block[0]), codes);
      store_nibbles(block + 1, codes);
    }
  }
}

static void dequantize_mxfp4(const uint8_t *source, float *target, int64_t blocks) {
  vtable values = vtable_of(FP4_VALUES);
  for (int64_t b = 0; b < blocks; b++, source += MXFP4_SIZE, target += BLOCK) {
    float scale = e8m0_half(source[0]);
    for (int i = 0; i < 16; i += VEC_LANES) {
      vi codes = vload_u8(source + 1 + i);
      vstore(target + i, vlook_up(&values, codes & 15) * scale);
      vstore(target + i + 16, vlook_up(&values, codes >> 4) * scale);
    }
  }
}
