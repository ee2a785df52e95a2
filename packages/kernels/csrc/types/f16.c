// F16: IEEE 754 binary16. Weights beyond its range become infinities, as in ggml.

#include "convert.h"
#include "half.h"
#include "kernel.h"

static void quantize_f16(const float *source, uint8_t *target, int64_t rows, int64_t columns, const float *importance) {
  (void)importance;
  int64_t count = rows * columns, i = 0;
  for (; i + VEC_LANES <= count; i += VEC_LANES) vstore_u16(target + 2 * i, vf32_to_f16(vload(source + i)));
  for (; i < count; i++) store_u16(target + 2 * i, f32_to_f16(source[i]));
}

static void dequantize_f16(const uint8_t *source, float *target, int64_t blocks) { convert_f16(source, target, blocks); }
