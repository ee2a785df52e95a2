// Q1_0: blocks of 128 = F16 scale, 16 bytes of signs, lowest bits first. value = scale where the bit is set, otherwise -scale. The
// scale is the mean magnitude. ggml ignores importance here.

#include "blocks.h"
#include "kernel.h"

enum { Q1_0_BLOCK = 128, Q1_0_SIZE = 2 + 16 };

static void quantize_q1_0(const float *source, uint8_t *target, int64_t rows, int64_t columns, const float *importance) {
  (void)importance;
  int64_t blocks = rows * columns / Q1_0_BLOCK;
  for (int64_t first = 0; first < blocks; first += VEC_LANES) {
    int count = lanes_of(blocks - first);
    const float *lanes[VEC_LANES];
    for (int lane = 0; lane < VEC_LANES; lane++) lanes[lane] = source + (first + (lane < count ? lane : count - 1)) * Q1_0_BLOCK;
    vf sum = {0};
    vi words[4];
    for (int word = 0; word < 4; word++) {
      words[word] = vsplat_int(0);
      for (int start = 0; start < 32; start += VEC_LANES) {
        vf tile[VEC_LANES];
        for (int lane = 0; lane < VEC_LANES; lane++) tile[lane] = vload(lanes[lane] + word * 32 + start);
        vtranspose(tile);
        for (int i = 0; i < VEC_LANES; i++) {
          sum += vabs(tile[i]);
          words[word] |= vselect_int(vlt(tile[i], vsplat(0)), vsplat_int(0), vsplat_int((int32_t)(1u << (start + i))));
        }
      }
    }
    vi half = vf32_to_f16(sum / (float)Q1_0_BLOCK);
    for (int lane = 0; lane < count; lane++) {
      uint8_t *block = target + (first + lane) * Q1_0_SIZE;
      store_u16(block, (uint32_t)half[lane]);
      for (int word = 0; word < 4; word++) store_u32(block + 2 + 4 * word, (uint32_t)words[word][lane]);
    }
  }
}

static void dequantize_q1_0(const uint8_t *source, float *target, int64_t blocks) {
  for (int64_t b = 0; b < blocks; b++, source += Q1_0_SIZE, target += Q1_0_BLOCK) {
    float scale = f16_to_f32(load_u16(source));
    for (int i = 0; i < Q1_0_BLOCK; i += 16) {
      uint32_t positive = load_u16(source + 2 + i / 8);
      for (int k = 0; k < 16; k += VEC_LANES) {
        vstore(target + i + k, vflip(vmask_of(positive >> k), vsplat(-scale), vsplat_int(INT32_MIN)));
      }
    }
  }
}
