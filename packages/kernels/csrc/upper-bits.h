// The 32 bytes that hold the uppermost bit of each of 256 codes in Q3_K and Q5_K: bit j of byte i is that of weight 32 * j + i.
#ifndef QUERN_UPPER_BITS_H
#define QUERN_UPPER_BITS_H

#include <stdint.h>

#include "vec.h"

// place is that of the bit in the codes, and a constant. Shifts by constants are what compilers turn into vectors of bytes.
INLINE void pack_upper_bits(const uint8_t *codes, int place, uint8_t *packed) {
  uint8_t bits[32] = {0};
  for (int j = 7; j >= 0; j--) {
    for (int i = 0; i < 32; i++) bits[i] = (uint8_t)(bits[i] << 1 | codes[j * 32 + i] >> place);
  }
  for (int i = 0; i < 32; i++) packed[i] = bits[i];
}

#endif
