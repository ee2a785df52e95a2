// The 64 bytes that hold two bits of each of 256 codes in Q2_K and Q3_K: byte i of each 32 has those of weights i, i + 32, i + 64
// and i + 96 of half a super-block, lowest bits first.
#ifndef QUERN_TWO_BITS_H
#define QUERN_TWO_BITS_H

#include <stdint.h>

#include "vec.h"

INLINE void pack_two_bits(const uint8_t *codes, uint8_t *packed) {
  for (int half = 0; half < 2; half++, codes += 128, packed += 32) {
    for (int i = 0; i < 32; i++) {
      packed[i] = (uint8_t)((codes[i] & 3) | (codes[i + 32] & 3) << 2 | (codes[i + 64] & 3) << 4 | codes[i + 96] << 6);
    }
  }
}

// Sub-block j of 16: its bytes, and how far up in them its bits are.
INLINE const uint8_t *two_bits_of(const uint8_t *packed, int j) { return packed + j / 8 * 32 + j % 2 * 16; }
INLINE int two_bits_shift(int j) { return j % 8 / 2 * 2; }

#endif
