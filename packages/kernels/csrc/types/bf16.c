// BF16: the upper half of F32, rounded to nearest with ties to even.

#include "convert.h"
#include "half.h"
#include "kernel.h"

static void quantize_bf16(const float *source, uint8_t *target, int64_t rows, int64_t columns, const float *importance) {
  (void)importance;
  int64_t count = rows * columns, i = 0;
  for (; i + VEC_LANES <= count; i += VEC_LANES) vstore_u16(target + 2 * i, vf32_to_bf16(vload(source + i)));
  for (; i < count; i++) store_u16(target + 2 * i, f32_to_bf16(source[i]));
}

static void dequantize_bf16(const uint8_t *source, float *target, int64_t blocks) { convert_bf16(source, target, blocks); }
