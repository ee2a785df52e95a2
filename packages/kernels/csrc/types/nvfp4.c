// NVFP4: blocks of 4 x 16 = 4 scales (UE4M3: no sign bit), 4 x 8 bytes of E2M1 codes (fp4.h). In each 8 bytes, element i is in
// the lower half of byte i, element i + 8 in the upper half. ggml ignores importance here.

#include "fp4.h"
#include "kernel.h"

enum { NVFP4_BLOCK = 64, NVFP4_SIZE = 4 + 32, NVFP4_SUB_BLOCKS = 4 };

// Half of the scale, as ggml_ue4m3_to_fp32 of ggml-impl.h: the code of NaN is 0, and the eighth bit has no meaning but in it.
INLINE float ue4m3_half(uint8_t code) {
  if (code == 0x7f) return 0;
  uint32_t magnitude = code & 0x7f;
  return magnitude < 8 ? (float)magnitude * 0x1p-10f : bits_float((magnitude << 20) + (119u << 23));
}

// ggml_fp32_to_ue4m3 for values >= 0: ties away from zero, and 448, the largest, for all from 248.
INLINE vi vf32_to_ue4m3(vf value) {
  vi denormal = vtruncate(value * 512.0f + 0.5f);
  denormal = vselect_int(vlt_int(denormal, vsplat_int(7)), denormal, vsplat_int(7));
  vi normal = (((vi)value + 0x00080000) >> 20) - (120 << 3);
  normal = vselect_int(vlt_int(normal, vsplat_int(0x78)), normal, vsplat_int(0x7e));
  return vselect_int(vlt(value, vsplat(0x1p-6f)), denormal, normal);
}

// Lane i becomes the scale of sub-block i.
INLINE vi nvfp4_scales(const float *source, int count, vf *largest) {
  *largest = block_magnitudes(source, 16, count);
  return vf32_to_ue4m3(*largest / 6.0f);
}

static void quantize_nvfp4(const float *source, uint8_t *target, int64_t rows, int64_t columns, const float *importance) {
  (void)importance;
  int64_t sub_blocks = rows * columns / 16;
  for (int64_t first = 0; first < sub_blocks; first += VEC_LANES) {
    int count = lanes_of(sub_blocks - first);
    vf largest;
    vi scales = nvfp4_scales(source + first * 16, count, &largest);
    for (int lane = 0; lane < count; lane++) {
      int64_t index = first + lane;
      uint8_t *block = target + index / NVFP4_SUB_BLOCKS * NVFP4_SIZE, bytes[16];
      uint8_t scale = (uint8_t)scales[lane];
      vi codes[HALF_VECTORS];
      uint64_t halves[2];
      fp4_codes(source + index * 16, HALF_VECTORS, largest[lane], ue4m3_half(scale), codes);
      vstore_uint8(bytes, codes);
      __builtin_memcpy(halves, bytes, 16);
      halves[0] |= halves[1] << 4;
      block[index % NVFP4_SUB_BLOCKS] = scale;
      __builtin_memcpy(block + NVFP4_SUB_BLOCKS + index % NVFP4_SUB_BLOCKS * 8, halves, 8);
    }
  }
}

static void dequantize_nvfp4(const uint8_t *source, float *target, int64_t blocks) {
  for (int64_t b = 0; b < blocks; b++, source += NVFP4_SIZE) {
    for (int j = 0; j < NVFP4_SUB_BLOCKS; j++, target += 16) {
      const uint8_t *codes = source + NVFP4_SUB_BLOCKS + j * 8;
      float scale = ue4m3_half(source[j]);
      for (int i = 0; i < 8; i++) {
        target[i] = (float)FP4_VALUES[codes[i] & 15] * scale;
        target[i + 8] = (float)FP4_VALUES[codes[i] >> 4] * scale;
      }
    }
  }
}
