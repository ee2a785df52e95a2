// The 12 bytes that hold 8 scales and 8 minimums of 6 bits in Q4_K and Q5_K: bytes 0-3 and 4-7 have scales and minimums 0-3 with
// the upper two bits of 4-7 above them; bytes 8-11 have the lower four bits of 4-7, scales below.
#ifndef QUERN_PACKED_SCALES_H
#define QUERN_PACKED_SCALES_H

#include <stdint.h>

#include "vec.h"

enum { PACKED_SCALES = 12 };

INLINE void pack_scales(const uint8_t *scales, const uint8_t *mins, uint8_t *packed) {
  for (int i = 0; i < 4; i++) {
    packed[i] = (uint8_t)(scales[i] | scales[i + 4] >> 4 << 6);
    packed[i + 4] = (uint8_t)(mins[i] | mins[i + 4] >> 4 << 6);
    packed[i + 8] = (uint8_t)((scales[i + 4] & 15) | (mins[i + 4] & 15) << 4);
  }
}

INLINE int packed_scale(const uint8_t *packed, int i) {
  return i < 4 ? packed[i] & 63 : (packed[i + 4] & 15) | packed[i - 4] >> 6 << 4;
}

INLINE int packed_min(const uint8_t *packed, int i) {
  return i < 4 ? packed[i + 4] & 63 : packed[i + 4] >> 4 | packed[i] >> 6 << 4;
}

#endif
