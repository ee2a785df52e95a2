// Searches work on LANE_BLOCKS blocks of weights at once, one per lane, so that every block sees exactly the sequence of float
// operations that ggml's scalar code performs on it. STREAMS vectors run side by side to hide the latency of each other.
//
// Element i of the blocks of stream s is the vector tile[s * count + i], where count is the length of a block.
#ifndef QUERN_SEARCH_LANES_H
#define QUERN_SEARCH_LANES_H

#include "vec.h"

#define STREAMS 2
#define LANE_BLOCKS (STREAMS * VEC_LANES)
#define LONGEST_BLOCK 32
#define EACH_STREAM for (int s = 0; s < STREAMS; s++)

// Before loops over elements: unrolled, they need more registers than there are for V8, which does not spill with care.
#define ROLLED _Pragma("GCC unroll 1")

#define NOINLINE static __attribute__((noinline, unused))

// Puts blocks first, first + 1, ... of an array of consecutive blocks into lanes; lanes beyond the last block repeat it.
INLINE void load_lanes(vf *tile, int count, const float *blocks, int first, int last) {
  EACH_STREAM {
    const float *lanes[VEC_LANES];
    for (int lane = 0; lane < VEC_LANES; lane++) {
      int block = first + s * VEC_LANES + lane;
      lanes[lane] = blocks + (block < last ? block : last) * count;
    }
    vload_blocks(tile + s * count, lanes, count);
  }
}

// The sum of the elements of each block, in their order.
INLINE vf sum_in_order(const vf *elements, int count) {
  vf sum = {0};
  for (int i = 0; i < count; i++) sum += elements[i];
  return sum;
}

#define LARGEST_FLOAT 3.40282347e+38f
#define GROUP_MAX_EPS 1e-15f // ggml takes a group of smaller values for zeros

// ---- ggml's nearest_int with the result in float lanes

// Exact for every input, also for what nearest_int makes of |a| > 4194303, infinities and NaN: the low 23 bits of
// a + 1.5 * 2^23, as the mantissa of a float between 2^23 and 2^24.
INLINE vi vnearest_int(vf a) { return ((vi)(a + ROUND_MAGIC) & 0x007fffff) - 0x00400000; }
INLINE vf vnearest(vf a) { return (vf)(((vi)(a + ROUND_MAGIC) & 0x007fffff) | 0x4b000000) - ROUND_MAGIC; }

// What turns scaled values into codes. Searches spare themselves what they know to change nothing.
typedef enum {
  KEEP,         // rounded, they are codes
  CUT_ABOVE,    // some may be above the highest code
  CUT,          // and some below the lowest
  WRAP_AND_CUT, // and some out of the range of vround
} code_rounding;

#define ROUND_LIMIT 4e6f // safely within the range of vround

// rounding is a constant where this is inlined.
INLINE vf vcode(code_rounding rounding, vf scaled, vf lowest, vf highest) {
  vf code = rounding == WRAP_AND_CUT ? vnearest(scaled) : vround(scaled);
  if (rounding >= CUT) code = vmax(code, lowest);
  if (rounding >= CUT_ABOVE) code = vmin(code, highest);
  return code;
}

#endif
