// The search for the scale of 32 weights in groups of four ("quads"), each of which becomes a point of a codebook with eight
// levels in four dimensions: what quantize_row_iq3_xxs_impl and quantize_row_iq3_s_impl of ggml-quants.c (llama.cpp v0.5.0) have
// in common.
//
// The reference tries 19 or 31 scales in turn. No try depends on another, so each lane has another try of the same sub-block.
// As the scale shrinks from try to try, no level of a quad goes down: tries with the same cell, hence with the same list of
// neighbours, follow one another.
#ifndef QUERN_SEARCH_QUADS_H
#define QUERN_SEARCH_QUADS_H

#include "vec.h"

#if VEC_LANES >= 8
#include "search/quad-costs.h"
#else
#include "search/quad-lines.h"
#endif

enum { QUADS = 8, QUAD_WEIGHTS = QUADS * QUAD };

// One sub-block.
typedef struct {
  float x[QUAD_WEIGHTS];       // magnitudes; where the sign could not be stored, not above 0
  float weights[QUAD_WEIGHTS]; // of errors
  float roots[QUAD_WEIGHTS];   // square roots of the weights, which judge neighbours
  float largest;               // of x, above 0
} quad_block;

// What came of all tries.
typedef struct {
  int32_t points[QUADS][MOST_TRIES]; // codes, and QUAD_NEIGHBOUR where the cell is no point
  float code_x[MOST_TRIES];          // sums of weight * x * value
  float code_squared[MOST_TRIES];    // sums of weight * value * value
} quad_trials;

// `reach` tries to both sides of the scale at which the largest value is that of the largest level.
INLINE int quad_tries(int reach) { return 2 * reach + 1; }
INLINE int quad_try_vectors(int reach) { return (quad_tries(reach) + VEC_LANES - 1) / VEC_LANES; }

// The inverse scales of the tries, and the scales. Lanes beyond the last try repeat it.
INLINE void quad_try_scales(int reach, float largest, vf *inverses, float *scales) {
  for (int v = 0; v < quad_try_vectors(reach); v++) {
    vf step = vmin(__builtin_convertvector(vsequence(v * VEC_LANES - reach), vf), vsplat((float)reach));
    inverses[v] = ((float)QUAD_LARGEST_VALUE + step * 0.2f) / largest;
    vstore(scales + v * VEC_LANES, 1.0f / inverses[v]);
  }
}

// The level of x in each lane. bounded: |inverse * x| is less than 2^20.
INLINE vi vquad_level(bool bounded, vf inverse, vf x) {
  if (!bounded) return vtruncate(vclamp(vnearest(0.5f * (inverse * x - 1.0f)), 0, QUAD_LEVELS - 1));
  // Twice what nearest_int adds up, which leaves the level in the lowest bits.
  vf sum = (inverse * vmax(x, vsplat(0)) - 1.0f) + 2 * ROUND_MAGIC;
  return (vi)vmin(sum, vsplat(2 * ROUND_MAGIC + 2 * (QUAD_LEVELS - 1)));
}

// The cells of a quad in all tries, and, as bits, the tries whose cell is another than that of the try before.
INLINE uint32_t quad_cells(bool bounded, int reach, const float *x, const vf *inverses, int32_t *cells) {
  uint32_t starts = 0;
  vi before = vsplat_int(-1);
  for (int v = 0; v < quad_try_vectors(reach); v++) {
    vi cell = {0};
    for (int i = QUAD - 1; i >= 0; i--) cell = (cell << 3) + vquad_level(bounded, inverses[v], vsplat(x[i]));
    cell &= QUAD_CODE;
    vstore((float *)(cells + v * VEC_LANES), (vf)cell);
    starts |= vmask_bits(vmask_not(veq_int(cell, vmove_up(before, cell)))) << v * VEC_LANES;
    before = cell;
  }
  return starts;
}

INLINE void quad_sum(int reach, const quad_block *block, quad_trials *trials) {
  for (int v = 0; v < quad_try_vectors(reach); v++) {
    vf code_x = {0}, code_squared = {0};
    for (int k = 0; k < QUADS; k++) {
      vi points = (vi)vload((const float *)(trials->points[k] + v * VEC_LANES));
      for (int i = 0; i < QUAD; i++) {
        float weight = block->weights[k * QUAD + i], weighted_x = weight * block->x[k * QUAD + i];
        vf value = vquad_value(points >> 3 * i);
        code_x += weighted_x * value;
        code_squared += weight * value * value;
      }
    }
    vstore(trials->code_x + v * VEC_LANES, code_x);
    vstore(trials->code_squared + v * VEC_LANES, code_squared);
  }
}

INLINE void quad_search(const quern_grid *grid, int reach, const quad_block *block, quad_trials *trials) {
  vf inverses[MOST_TRIES / VEC_LANES];
  float scales[MOST_TRIES];
  uint32_t starts[QUADS];
  quad_try_scales(reach, block->largest, inverses, scales);

  vf extreme = {0};
  for (int i = 0; i < QUAD_WEIGHTS; i += VEC_LANES) extreme = vmax(extreme, vabs(vload(block->x + i)));
  bool bounded = vall(vlt(extreme * inverses[quad_try_vectors(reach) - 1], vsplat(0x1p20f)));
  for (int k = 0; k < QUADS; k++) {
    const float *x = block->x + k * QUAD;
    starts[k] = bounded ? quad_cells(true, reach, x, inverses, trials->points[k])
                        : quad_cells(false, reach, x, inverses, trials->points[k]);
  }
  for (int k = 0; k < QUADS; k++) {
    const float *x = block->x + k * QUAD, *roots = block->roots + k * QUAD;
    quad_judge(grid, quad_tries(reach), bounded, x, roots, scales, starts[k], trials->points[k]);
  }
  quad_sum(reach, block, trials);
}

#endif
